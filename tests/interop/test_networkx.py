"""NetworkX: graphs from npx arrays and back."""

from programs import check, library

networkx = library("networkx")


def test_graphs():
    def program(np):
        weights = np.array([[0.0, 2.0, 0.0], [2.0, 0.0, 1.5], [0.0, 1.5, 0.0]])
        graph = networkx.from_numpy_array(weights)
        layout = networkx.spring_layout(graph, pos={i: np.array([i, i % 2]) for i in range(3)}, iterations=2, seed=1)
        return (
            sorted(graph.edges(data="weight")), networkx.to_numpy_array(graph), networkx.pagerank(graph),
            networkx.shortest_path_length(graph, 0, 2, weight="weight"),
            networkx.laplacian_matrix(graph).toarray() @ np.ones(3), layout, networkx.floyd_warshall_numpy(graph),
            networkx.circular_layout(graph, center=np.zeros(2)),
        )  # fmt: skip

    check(program)
