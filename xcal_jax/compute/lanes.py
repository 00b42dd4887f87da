"""Masked lanes: a batch shrinks to the lanes still at work, so that it does not wait for its longest history.

A state is a tree of arrays whose first axis is the lane. All functions are for use inside `jax.jit`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Int

from xcal_jax.compute.shapes import Flag, Real, Whole

WORD = 32
LAST = 8  # one in so many lanes works on the last jobs
State = TypeVar("State")
Carried = tuple[Array, Array, Any, Any]  # jobs of the lanes, the next job, states, outcomes


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Selection:
    """The true lanes of a mask, found by rank.

    words: (n / 32,) uint32, one bit for each lane; ends: (n / 32,) int32, running count of true lanes.
    It takes a fifth of the time of `jnp.nonzero` where few lanes are true: only whole words are summed up, and the
    lanes wanted are found among them by bisection.
    """

    words: Array
    ends: Array

    @classmethod
    def of(cls, mask: Bool[Array, " n"]) -> "Selection":
        """The true lanes of ``mask``; n must be a multiple of 32."""
        bits = mask.reshape(-1, WORD).astype(jnp.uint32) << jnp.arange(WORD, dtype=jnp.uint32)[None, :]
        words = jnp.sum(bits, axis=1, dtype=jnp.uint32)
        return cls(words, jnp.cumsum(jax.lax.population_count(words).astype(jnp.int32)))

    @property
    def total(self) -> Whole:
        """Number of true lanes."""
        return self.ends[-1]

    @property
    def rank(self) -> Int[Array, " n"]:
        """Number of true lanes before each lane."""
        count = jax.lax.population_count
        below = (jnp.uint32(1) << jnp.arange(WORD, dtype=jnp.uint32)) - 1
        before = (self.ends - count(self.words).astype(jnp.int32))[:, None]
        return (before + count(self.words[:, None] & below[None, :]).astype(jnp.int32)).reshape(-1)

    def lanes(self, first: Whole, count: int) -> Int[Array, " count"]:
        """The true lanes of rank ``first`` to ``first + count``; n where there are no more."""
        rank = first + jnp.arange(count, dtype=jnp.int32)
        at = jnp.minimum(jnp.searchsorted(self.ends, rank, side="right"), self.words.size - 1).astype(jnp.int32)
        word = self.words[at]
        left = rank - self.ends[at] + jax.lax.population_count(word).astype(jnp.int32)
        bit = jnp.zeros_like(rank)
        for half in (16, 8, 4, 2, 1):
            low = word & jnp.uint32((1 << half) - 1)
            below = jax.lax.population_count(low).astype(jnp.int32)
            upper = left >= below
            left = jnp.where(upper, left - below, left)
            word = jnp.where(upper, word >> half, low)
            bit = jnp.where(upper, bit + half, bit)
        return jnp.where(rank < self.total, WORD * at + bit, WORD * self.words.size)


def take(state: State, lanes: Int[Array, " k"]) -> State:
    """The given lanes of every array of ``state``; an index past the end takes the last lane."""
    return jax.tree.map(lambda field: field.at[lanes].get(mode="clip"), state)


def put(state: State, lanes: Int[Array, " k"], values: State) -> State:
    """``state`` with the given lanes, which ascend, replaced by ``values``; an index past the end is dropped."""
    return jax.tree.map(
        lambda old, new: old.at[lanes].set(new, mode="drop", unique_indices=True, indices_are_sorted=True),
        state,
        values,
    )


def choose(when: Array, yes: State, no: State) -> State:
    """`jnp.where` on every array of two trees of the same structure."""
    return jax.tree.map(lambda a, b: jnp.where(when, a, b), yes, no)


def for_selected(visit: Callable[[Array, State], State], state: State, mask: Bool[Array, " n"], width: int) -> State:
    """Apply ``visit(lanes (width,), state) -> state`` to all true lanes of ``mask``, ``width`` at a time.

    Each round finds the lanes of the next, because an array that the loop carries is computed once. Where the lanes
    were computed in the round that uses them, the compiler would find them anew for every field that they select.
    """
    selection = Selection.of(mask)
    visits = (selection.total + width - 1) // width

    def round_(n: Whole, carried: tuple[Array, State]) -> tuple[Array, State]:
        lanes, state = carried
        return selection.lanes((n + 1) * width, width), visit(lanes, state)

    return jax.lax.fori_loop(0, visits, round_, (selection.lanes(jnp.int32(0), width), state))[1]


def drain(step: Callable[[State], State], state: State, alive: Callable[[State], Array], width: int) -> State:
    """Apply ``step`` to the lanes that are ``alive``, ``width`` at a time, until none is.

    Both functions take a batch: step gives the new state, alive gives (n,) bool.
    """

    def visit(lanes: Array, state: State) -> State:
        return put(state, lanes, step(take(state, lanes)))

    return jax.lax.while_loop(
        lambda state: jnp.any(alive(state)), lambda state: for_selected(visit, state, alive(state), width), state
    )


def refill_lanes(
    load: Callable[[Array], State],
    move: Callable[[State], State],
    working: Callable[[State], Array],
    outcome: Callable[[State], Any],
    jobs: Whole,
    width: int,
    room: int,
) -> Any:
    """Outcomes of the jobs 0 to ``jobs`` - 1, done on ``width`` lanes: where one job has ended, the next begins.

    load: job (width,) int32 -> state, not working where there is no such job; move: state -> state;
    working: state -> (width,) bool; outcome: state -> (width, ...) arrays. The outcomes are (room, ...) arrays, by
    job, and 0 where there is no job.
    For jobs that take many moves of a small state this is faster than `drain`, which gathers and scatters the state in
    every move. The last jobs finish on fewer lanes.
    """

    def round_(carried: Carried) -> Carried:
        job, following, state, outcomes = carried
        state = move(state)
        ended = ~working(state)
        place = jnp.where(ended, job, room)
        outcomes = jax.tree.map(lambda all_, new: all_.at[place].set(new, mode="drop"), outcomes, outcome(state))
        selection = Selection.of(ended)
        job = jnp.where(ended, following + selection.rank, job)
        state = jax.vmap(choose)(ended, load(job), state)
        return job, following + selection.total, state, outcomes

    few = max(width // LAST // WORD, 1) * WORD
    job = jnp.arange(width, dtype=jnp.int32)
    following, state = jnp.int32(width), load(job)
    outcomes = jax.tree.map(
        lambda value: jnp.zeros((room, *value.shape[1:]), value.dtype), jax.eval_shape(outcome, state)
    )
    for least in (few, 0):

        def unfinished(carried: Carried, least: int = least) -> Flag:
            _, following, state, _ = carried
            return (following < jobs) | (jnp.sum(working(state)) > least)

        carried = jax.lax.while_loop(unfinished, round_, (job, following, state, outcomes))
        job, following, state, outcomes = carried
        lanes = Selection.of(working(state)).lanes(jnp.int32(0), few)
        job = jnp.where(lanes < job.size, take(job, lanes), room)
        state = take(state, lanes)
    return outcomes


def materialise(hint: Real, fn: Callable[..., Any], *args: Any) -> Any:
    """``fn(*args)`` of one lane, computed once and stored as arrays.

    XLA would fuse its computation into every one of its uses, and compute random numbers and logarithms anew for a
    dozen fields of the state. XLA does not fuse across a conditional whose predicate is unknown at compile time; this
    uses one as a fusion barrier. hint: any positive number that is an argument of the program.
    """
    compute = lambda: fn(*args)  # noqa: E731
    nothing = lambda: jax.tree.map(lambda result: jnp.zeros(result.shape, result.dtype), jax.eval_shape(compute))  # noqa: E731
    return jax.lax.cond(hint > 0, compute, nothing)
