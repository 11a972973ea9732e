"""Memory for results that stay inside a program: one arena, in which results of different times share places."""

#: of a storage's first byte in the arena, and of the arena
ALIGNMENT = 64


def assign_offsets(steps, outputs):
    """Give the arena's storages their offsets, so that those that live at different times share memory.

    Parameters
    ----------
    steps : list
    outputs : list of Layout
        What is read after the last step.

    Returns
    -------
    int
        Bytes that the arena needs.
    """
    first, last = {}, {}
    for k, layouts in enumerate([*(step.layouts() for step in steps), outputs]):
        for layout in layouts:
            storage = layout.storage.owner
            if storage.kind == "arena":
                first.setdefault(storage, k)
                last[storage] = k
    events = {}
    for storage, k in first.items():
        events.setdefault(k, ([], []))[0].append(storage)
        events.setdefault(last[storage], ([], []))[1].append(storage)
    holes, total = [], 0
    for k in sorted(events):
        starting, ending = events[k]
        for storage in starting:
            size = _room(storage)
            fitting = [h for h in holes if h[1] >= size]
            if fitting:
                hole = min(fitting, key=lambda h: h[1])
                holes.remove(hole)
                storage.offset = hole[0]
                if hole[1] > size:
                    holes.append((hole[0] + size, hole[1] - size))
            else:
                storage.offset, total = total, total + size
        for storage in ending:
            holes.append((storage.offset, _room(storage)))
        holes = _joined(holes)
    return total


def _joined(holes):
    """Neighbouring holes as one."""
    out = []
    for start, size in sorted(holes):
        if out and out[-1][0] + out[-1][1] == start:
            out[-1] = (out[-1][0], out[-1][1] + size)
        else:
            out.append((start, size))
    return out


def _room(storage):
    """Bytes that a storage takes in the arena."""
    return -(-max(storage.nbytes, 1) // ALIGNMENT) * ALIGNMENT
