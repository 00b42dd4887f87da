import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import curve_fit, minimize
from scipy.stats import poisson

from xcal_jax import fit


def run(function, *arguments):
    with fit.double_precision():
        return jax.tree.map(np.asarray, function(*arguments))


def test_linear_agrees_with_numpy():
    rng = np.random.default_rng(1)
    x, sigma = np.linspace(0, 5, 40), rng.uniform(0.5, 2.0, 40)
    y = 3 + 2 * x + rng.normal(0, sigma)
    line = run(fit.linear, np.stack([np.ones_like(x), x], 1), y, sigma)
    expected, covariance = np.polyfit(x, y, 1, w=1 / sigma, cov="unscaled")
    np.testing.assert_allclose(line.parameters, expected[::-1], rtol=1e-10)
    np.testing.assert_allclose(line.covariance, covariance[::-1, ::-1], rtol=1e-10)
    assert line.converged and line.points == 40


def test_an_infinite_error_leaves_a_point_out():
    x = np.arange(6.0)
    design = np.stack([np.ones_like(x), x], 1)
    y = 1 + x
    y[3] = 100.0
    sigma = np.ones(6)
    sigma[3] = np.inf
    line = run(fit.linear, design, y, sigma)
    np.testing.assert_allclose(line.parameters, [1, 1], atol=1e-10)
    assert line.points == 5


def test_a_singular_design_does_not_converge():
    design = np.stack([np.ones(5), np.ones(5)], 1)
    assert not run(fit.linear, design, np.arange(5.0), np.ones(5)).converged


def test_shared_errors_stand_in_the_covariance():
    """Against the matrices of N by N: A (sigma^2 + shared shared^T) A^T for the independent weights' A."""
    rng = np.random.default_rng(3)
    sigma, shared = rng.uniform(0.5, 2.0, 20), rng.normal(0, 1, (20, 3))
    design = np.stack([np.ones(20), np.linspace(0, 5, 20)], 1)
    line = run(lambda: fit.with_shared(fit.linear(design, design @ [3.0, 2.0], sigma), design, sigma, shared))
    full = np.diag(sigma**2) + shared @ shared.T
    solve = np.linalg.solve((design.T / sigma**2) @ design, design.T / sigma**2)
    np.testing.assert_allclose(line.covariance, solve @ full @ solve.T, rtol=1e-9)
    np.testing.assert_allclose(line.parameters, [3, 2], rtol=1e-9)


def test_whitened_columns_have_unit_covariance():
    rng = np.random.default_rng(4)
    sigma, shared = rng.uniform(0.5, 2.0, 20), rng.normal(0, 1, (20, 3))
    root = fit.whiten(np.eye(20), sigma, shared)
    np.testing.assert_allclose(root @ (np.diag(sigma**2) + shared @ shared.T) @ root.T, np.eye(20), atol=1e-9)


def test_least_squares_agrees_with_scipy():
    rng = np.random.default_rng(2)
    x = np.linspace(0, 10, 60)
    y = 5 * np.exp(-x / 3) + 1 + rng.normal(0, 0.1, 60)

    def model(x, a, tau, c):
        return a * np.exp(-x / tau) + c

    def residuals(p, _):
        return (p[0] * jnp.exp(-x / p[1]) + p[2] - y) / 0.1

    ours = run(lambda s: fit.least_squares(residuals, s, None, 60.0), np.array([3.0, 2.0, 0.5]))
    theirs, covariance = curve_fit(model, x, y, [3, 2, 0.5], np.full(60, 0.1), absolute_sigma=True)
    np.testing.assert_allclose(ours.parameters, theirs, rtol=1e-5)
    np.testing.assert_allclose(ours.covariance, covariance, rtol=1e-3)
    assert ours.converged


def test_poisson_residuals_square_to_the_deviance_without_a_seam():
    expected = np.array([0.3, 5.0, 5.0, 5.0, 100.0, 100.0, 100.0])
    counts = np.array([0.0, 5.0, 0.0, 9.0, 100.2, 100.09, 99.0])
    ours = run(fit.poisson_residuals, counts, expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviance = 2 * (expected - counts + np.where(counts > 0, counts * np.log(counts / expected), 0))
    np.testing.assert_allclose(ours**2, deviance, rtol=1e-7, atol=1e-12)
    np.testing.assert_array_equal(np.sign(ours), np.sign(expected - counts))


def test_poisson_fit_is_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(3)
    x = np.linspace(0, 4, 50)
    counts = rng.poisson(4 * np.exp(-x / 2) + 1).astype(float)

    def expected(p):
        return jnp.exp(p[0] - x / 2) + jnp.exp(p[1])

    def residuals(p, _):
        return fit.poisson_residuals(counts, expected(p))

    ours = run(lambda s: fit.least_squares(residuals, s, None, 50.0), np.array([1.0, 0.0]))

    def loss(p):
        return -poisson.logpmf(counts, np.exp(p[0] - x / 2) + np.exp(p[1])).sum()

    theirs = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9})
    np.testing.assert_allclose(ours.parameters, theirs.x, atol=1e-4)


@pytest.mark.slow
def test_a_batch_is_its_members_one_by_one():
    rng = np.random.default_rng(4)
    x = np.linspace(-3, 3, 30)
    y = 10 * np.exp(-0.5 * (x - rng.normal(0, 0.3, (7, 1))) ** 2) + rng.normal(0, 0.3, (7, 30))

    def one(y):
        def residuals(p, _):
            return (p[0] * jnp.exp(-0.5 * ((x - p[1]) / p[2]) ** 2) - y) / 0.3

        return fit.least_squares(residuals, jnp.array([8.0, 0.1, 1.2]), None, 30.0)

    batch = run(jax.vmap(one), y)
    for k in range(7):
        alone = run(one, y[k])
        np.testing.assert_allclose(batch.parameters[k], alone.parameters, rtol=1e-7)
        np.testing.assert_allclose(batch.errors[k], alone.errors, rtol=1e-6)


def test_scales():
    one = fit.Fit(np.zeros(2), np.eye(2), np.array(4.0), np.array(10.0), np.array(True))
    np.testing.assert_allclose(fit.scaled(one).covariance, np.eye(2))
    np.testing.assert_allclose(fit.rescaled(one).covariance, 0.5 * np.eye(2))
    large = fit.Fit(np.zeros(2), np.eye(2), np.array(24.0), np.array(10.0), np.array(True))
    np.testing.assert_allclose(fit.scaled(large).covariance, 3 * np.eye(2))
    exact = fit.Fit(np.zeros(2), np.eye(2), jnp.array(0.0), jnp.array(2.0), np.array(True))
    np.testing.assert_allclose(fit.rescaled(exact).covariance, np.eye(2))


@pytest.mark.parametrize(("points", "expected"), [(10.0, 5 + 4 + 12 / 7), (3.0, np.inf)])
def test_aicc(points, expected):
    assert float(fit.aicc(jnp.asarray(5.0), points, 2)) == pytest.approx(expected)


def test_importing_leaves_the_global_precision_alone():
    assert not jax.config.jax_enable_x64
    run(fit.linear, np.ones((3, 1)), np.ones(3), np.ones(3))
    assert not jax.config.jax_enable_x64
