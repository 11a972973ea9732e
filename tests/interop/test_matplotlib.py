"""matplotlib draws npx arrays as it draws NumPy's, pixel by pixel."""

import pytest
from programs import check, library

matplotlib = library("matplotlib")
matplotlib.use("agg")
import matplotlib.colors  # noqa: E402
import matplotlib.dates  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import matplotlib.tri  # noqa: E402


def plot(np, ax):
    t = np.linspace(0, 6, 50)
    ax.plot(t, np.sin(t), "r--", label="sin")
    ax.plot(np.cos(t))
    ax.plot(t, np.stack([t, t**2], axis=1) / 40)
    ax.fill_between(t, np.sin(t), where=np.sin(t) > 0)
    ax.errorbar(t[::10], t[::10] / 6, yerr=np.full(5, 0.1))
    ax.set_xlim(t.min(), t.max())
    ax.set_xticks(np.arange(0, 6, 2))
    ax.axvline(t[3])
    ax.legend()


def scatter(np, ax):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30))
    points = ax.scatter(x, y, c=np.hypot(x, y), s=20 * np.abs(x) + 5, alpha=np.linspace(0.2, 1, 30))
    ax.figure.colorbar(points)
    ax.text(x[0], y[0], f"{x[0]:.2f}")
    ax.annotate("here", np.array([0.0, 0.0]), xytext=np.array([1.0, 1.0]), arrowprops={})


def image(np, ax):
    x = np.arange(64.0).reshape(8, 8)
    x[3:5, 3:5] = np.nan
    ax.imshow(x, extent=np.array([0, 1, 0, 1]), vmin=x[0, 1], cmap="viridis")


def colours(np, ax):
    rgb = np.zeros((4, 4, 3))
    rgb[..., 0] = np.linspace(0, 1, 4)
    ax.imshow(rgb)
    ax.plot(np.arange(4), color=np.array([0.2, 0.5, 0.1]))


def masked(np, ax):
    x = np.ma.masked_greater(np.arange(16.0).reshape(4, 4), 10)
    ax.imshow(x)
    ax.plot(np.ma.masked_where(np.arange(4) == 2, np.arange(4)))
    ax.pcolormesh(np.arange(5), np.arange(5), np.ma.masked_less(x, 3), alpha=0.5)


def fields(np, ax):
    x, y = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 9))
    ax.contourf(x, y, x * np.exp(-(x**2) - y**2), levels=np.linspace(-0.4, 0.4, 9))
    ax.contour(x, y, x**2 + y**2, np.array([1.0, 2.0]))
    ax.quiver(x, y, -y, x, np.hypot(x, y))
    ax.streamplot(x[0], y[:, 0], -y, x)


def distributions(np, ax):
    x = np.random.default_rng(1).normal(size=(50, 2))
    ax.hist(x[:, 0], bins=np.linspace(-3, 3, 7), weights=np.ones(50))
    ax.hist(x, bins=5, histtype="step")
    ax.boxplot(x)
    ax.violinplot([x[:, 0], x[:, 1]])
    ax.bar(np.arange(3), np.array([1, 2, 3]), yerr=np.ones(3), color=["r", "g", "b"])
    ax.hist2d(x[:, 0], x[:, 1], bins=4, alpha=0.3)
    ax.stem(np.arange(3.0))
    ax.step(np.arange(3), np.arange(3))
    ax.hexbin(x[:, 0], x[:, 1], gridsize=5)


def dates(np, ax):
    ax.plot(np.arange("2024-01", "2024-07", dtype="M8[M]"), np.arange(6.0))


def triangles(np, ax):
    x, y = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    ax.tripcolor(x, y, x + y)
    ax.triplot(matplotlib.tri.Triangulation(x, y, np.array([[0, 1, 2], [1, 2, 3]])))
    ax.add_collection(matplotlib.collections.LineCollection(np.zeros((2, 3, 2)) + np.arange(3)[:, None] / 3))
    ax.add_patch(matplotlib.patches.Polygon(np.array([[0.1, 0.1], [0.4, 0.2], [0.3, 0.5]])))


def logarithms(np, ax):
    ax.loglog(np.logspace(0, 3, 10), np.logspace(1, -2, 10))
    ax.semilogy(np.array([1, 10, 100]), np.array([1.0, 10.0, 100.0]))


@pytest.mark.parametrize(
    "draw", [plot, scatter, image, colours, masked, fields, distributions, dates, triangles, logarithms]
)
def test_pixels(draw):
    def program(np):
        figure, ax = plt.subplots(figsize=(3, 2), dpi=60)
        try:
            draw(np, ax)
            figure.canvas.draw()
            return np.asarray(figure.canvas.buffer_rgba()).copy()
        finally:
            plt.close(figure)

    check(program)


def test_three_dimensions():
    def program(np):
        figure = plt.figure(figsize=(2, 2), dpi=50)
        ax = figure.add_subplot(projection="3d")
        x, y = np.meshgrid(np.arange(4.0), np.arange(4.0))
        ax.plot_surface(x, y, np.sin(x) * y)
        ax.scatter(x, y, x + y)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba()).copy()
        plt.close(figure)
        return pixels

    check(program)


def test_what_comes_back():
    def program(np):
        figure, ax = plt.subplots()
        line = ax.plot(np.arange(3.0), np.arange(3.0) ** 2)[0]
        line.set_ydata(np.array([1.0, 2.0, 3.0]))
        counts, edges, _ = ax.hist(np.array([1.0, 2.0, 2.5]), bins=np.array([0.0, 2.0, 3.0]))
        plt.close(figure)
        norm = matplotlib.colors.Normalize(0, 2)
        return (
            line.get_xydata(), counts, edges, norm(np.array([0.5, 1.0])),
            plt.get_cmap("viridis")(np.array([0.1, 0.9])),
            matplotlib.colors.to_rgba_array(np.array([[0.1, 0.2, 0.3]])),
            matplotlib.dates.date2num(np.array(["2024-01-01"], dtype="M8[D]")),
            matplotlib.path.Path(np.array([[0.0, 0.0], [1.0, 1.0]])).vertices,
        )  # fmt: skip

    check(program)
