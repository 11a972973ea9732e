"""scikit-learn learns from npx arrays what it learns from NumPy's."""

import warnings

import pytest
from programs import check, check_refusal, library

import npx

sklearn = library("sklearn")
import sklearn.base  # noqa: E402, F811
import sklearn.cluster  # noqa: E402
import sklearn.compose  # noqa: E402
import sklearn.decomposition  # noqa: E402
import sklearn.ensemble  # noqa: E402
import sklearn.feature_extraction  # noqa: E402
import sklearn.gaussian_process  # noqa: E402
import sklearn.linear_model  # noqa: E402
import sklearn.metrics  # noqa: E402
import sklearn.model_selection  # noqa: E402
import sklearn.neighbors  # noqa: E402
import sklearn.neural_network  # noqa: E402
import sklearn.pipeline  # noqa: E402
import sklearn.preprocessing  # noqa: E402
import sklearn.svm  # noqa: E402
import sklearn.tree  # noqa: E402


def data(np):
    """Points of two classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = (x[:, 0] + 0.5 * x[:, 1] ** 2 > 0.2).astype(int)
    return x, y


CLASSIFIERS = [
    sklearn.linear_model.LogisticRegression(),
    sklearn.svm.SVC(probability=False),
    sklearn.tree.DecisionTreeClassifier(random_state=0),
    sklearn.ensemble.RandomForestClassifier(n_estimators=5, random_state=0),
    sklearn.ensemble.HistGradientBoostingClassifier(max_iter=5),
    sklearn.neighbors.KNeighborsClassifier(3),
    sklearn.linear_model.SGDClassifier(random_state=0),
    sklearn.neural_network.MLPClassifier((4,), max_iter=20, random_state=0),
    sklearn.gaussian_process.GaussianProcessClassifier(),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)
def test_classifiers(model):
    def program(np):
        x, y = data(np)
        fitted = sklearn.base.clone(model).fit(x[:40], y[:40])
        scores = fitted.predict_proba(x[40:]) if hasattr(fitted, "predict_proba") else fitted.decision_function(x[40:])
        return fitted.predict(x[40:]), scores, fitted.score(x[40:], y[40:])

    check(program)


REGRESSORS = [
    sklearn.linear_model.LinearRegression(),
    sklearn.linear_model.Ridge(),
    sklearn.linear_model.Lasso(0.1),
    sklearn.svm.SVR(),
    sklearn.ensemble.GradientBoostingRegressor(n_estimators=5, random_state=0),
    sklearn.gaussian_process.GaussianProcessRegressor(alpha=0.1),
]


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda m: type(m).__name__)
def test_regressors(model):
    def program(np):
        x, _ = data(np)
        y = x @ np.array([1.0, -2.0, 0.5]) + 0.1
        weights = np.ones(60)
        weights[::3] = 0.5
        fitted = (
            sklearn.base.clone(model).fit(x, y, sample_weight=weights)
            if "Gaussian" not in str(model)
            else model.fit(x, y)
        )
        return fitted.predict(x), fitted.score(x, y), getattr(fitted, "coef_", None)

    check(program)


def test_pipelines_and_searches():
    def program(np):
        x, y = data(np)
        pipeline = sklearn.pipeline.make_pipeline(
            sklearn.preprocessing.StandardScaler(),
            sklearn.preprocessing.FunctionTransformer(np.tanh),
            sklearn.decomposition.PCA(2),
            sklearn.linear_model.LogisticRegression(),
        )
        folds = sklearn.model_selection.KFold(3, shuffle=True, random_state=np.random.RandomState(0))
        scores = sklearn.model_selection.cross_val_score(pipeline, x, y, cv=folds)
        search = sklearn.model_selection.GridSearchCV(
            pipeline, {"logisticregression__C": np.logspace(-1, 1, 3)}, cv=3, refit=True
        ).fit(x, y)
        return scores, search.best_params_, search.predict(x[:5]), pipeline.fit(x, y).predict(x)

    check(program)


def test_preprocessing_and_decomposition():
    def program(np):
        x, y = data(np)
        mixed = np.array([["a", "x"], ["b", "y"], ["a", "y"]], dtype=object)
        with_gaps = x.copy()
        with_gaps[::7, 1] = np.nan
        columns = sklearn.compose.ColumnTransformer(
            [("scaled", sklearn.preprocessing.MinMaxScaler(), np.array([0, 1])), ("kept", "passthrough", [2])]
        )
        return (
            sklearn.preprocessing.StandardScaler().fit_transform(x),
            sklearn.preprocessing.OneHotEncoder().fit_transform(mixed).toarray(),
            sklearn.preprocessing.LabelEncoder().fit_transform(np.array(["u", "v", "u"])),
            sklearn.preprocessing.PolynomialFeatures(2).fit_transform(x),
            sklearn.decomposition.PCA(2).fit_transform(x),
            sklearn.decomposition.NMF(2, init="nndsvd").fit_transform(np.abs(x)),
            sklearn.decomposition.TruncatedSVD(2, random_state=0).fit_transform(x), columns.fit_transform(x),
            sklearn.impute.SimpleImputer().fit_transform(with_gaps), sklearn.preprocessing.normalize(x),
            sklearn.preprocessing.QuantileTransformer(n_quantiles=10).fit_transform(x),
            sklearn.preprocessing.label_binarize(y, classes=[0, 1]),
        )  # fmt: skip

    check(program, exact=False)


def test_clusters():
    def program(np):
        x, _ = data(np)
        means = sklearn.cluster.KMeans(2, init=x[:2].copy(), n_init=1).fit(x)
        return (
            means.labels_, means.cluster_centers_, sklearn.cluster.DBSCAN(0.8).fit_predict(x),
            sklearn.cluster.AgglomerativeClustering(3).fit_predict(x), means.transform(x[:3]),
        )  # fmt: skip

    check(program)


def test_metrics_and_splits():
    def program(np):
        x, y = data(np)
        guess = (x[:, 0] > 0).astype(int)
        train, test, y_train, y_test = sklearn.model_selection.train_test_split(x, y, random_state=0, stratify=y)
        rows, columns = next(sklearn.model_selection.StratifiedKFold(3).split(x, y))
        return (
            sklearn.metrics.accuracy_score(y, guess), sklearn.metrics.confusion_matrix(y, guess),
            sklearn.metrics.roc_auc_score(y, x[:, 0]), sklearn.metrics.log_loss(y, np.clip(guess, 0.1, 0.9)),
            sklearn.metrics.f1_score(y, guess), sklearn.metrics.r2_score(x[:, 0], x[:, 1]),
            sklearn.metrics.mean_squared_error(x, x + 1), sklearn.metrics.pairwise_distances(x[:4]),
            sklearn.metrics.roc_curve(y, x[:, 0]), sklearn.metrics.pairwise.rbf_kernel(x[:3]),
            sklearn.metrics.classification_report(y, guess), train, test, y_train, y_test, x[rows], y[columns],
            sklearn.metrics.silhouette_score(x, y), sklearn.utils.shuffle(x, y, random_state=0),
            sklearn.utils.class_weight.compute_class_weight("balanced", classes=np.unique(y), y=y),
        )  # fmt: skip

    check(program)


def test_own_estimator():
    """An estimator written with npx goes through scikit-learn's checks, cloning and searches."""

    def program(np):
        class Nearest(sklearn.base.ClassifierMixin, sklearn.base.BaseEstimator):
            def __init__(self, power=2.0):
                self.power = power

            def fit(self, x, y):
                x, y = sklearn.utils.validation.check_X_y(x, y)
                self.classes_ = np.unique(y)
                self.means_ = np.stack([np.mean(x[y == c], axis=0) for c in self.classes_])
                return self

            def predict(self, x):
                x = sklearn.utils.validation.check_array(x)
                gaps = np.sum(np.abs(x[:, None] - self.means_) ** self.power, axis=2)
                return self.classes_[np.argmin(gaps, axis=1)]

        x, y = data(np)
        search = sklearn.model_selection.GridSearchCV(Nearest(), {"power": np.array([1.0, 2.0])}, cv=3).fit(x, y)
        return search.predict(x), search.cv_results_["mean_test_score"], search.best_params_

    check(program)


def test_lists_of_arrays_and_masked_rows():
    def program(np):
        x, y = data(np)
        rows = [row for row in x]
        model = sklearn.neighbors.KNeighborsClassifier(3).fit(rows, list(y))
        vectoriser = sklearn.feature_extraction.DictVectorizer()
        return model.predict(x[y == 1]), vectoriser.fit_transform([{"a": np.float64(1.0)}, {"b": 2}]).toarray()

    check(program)


def test_bad_input_is_refused_as_with_numpy():
    def program(np, x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sklearn.linear_model.LinearRegression().fit(np.asarray(x), np.arange(2.0))

    for x in ([[1.0], [npx.nan]], [[[1.0]], [[2.0]]], [1.0, 2.0], [["a"], ["b"]]):
        check_refusal(program, x)
