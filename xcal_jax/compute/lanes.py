"""Masked lanes: a batch shrinks to those still at work, so that all do not wait for the unluckiest."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

WORD = 32
LAST = 8  # one in so many lanes of a relay works on the last jobs


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Selection:
    """The true lanes of a mask, found by rank. words: (n / 32,) uint32, a bit a lane; ends: (n / 32,) running count.

    A fifth of the cost of `jnp.nonzero` where few are true: only whole words are summed up, and the lanes wanted
    are found among them by bisection.
    """

    words: Array
    ends: Array

    @classmethod
    def of(cls, mask: Array) -> "Selection":
        """mask: (n,) bool, n a multiple of 32."""
        bits = mask.reshape(-1, WORD).astype(jnp.uint32) << jnp.arange(WORD, dtype=jnp.uint32)[None, :]
        words = jnp.sum(bits, axis=1, dtype=jnp.uint32)
        return cls(words, jnp.cumsum(jax.lax.population_count(words).astype(jnp.int32)))

    @property
    def total(self) -> Array:
        """How many are true, () int32."""
        return self.ends[-1]

    @property
    def rank(self) -> Array:
        """How many true lanes come before each, (n,) int32."""
        count = jax.lax.population_count
        below = (jnp.uint32(1) << jnp.arange(WORD, dtype=jnp.uint32)) - 1
        before = (self.ends - count(self.words).astype(jnp.int32))[:, None]
        return (before + count(self.words[:, None] & below[None, :]).astype(jnp.int32)).reshape(-1)

    def lanes(self, first: Array, count: int) -> Array:
        """The true lanes of rank ``first`` to ``first + count``, (count,) int32; n where there are no more."""
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


def take(state, lanes: Array):
    """Those lanes of every array of ``state``; an index past the end takes the last lane."""
    return jax.tree.map(lambda field: field.at[lanes].get(mode="clip"), state)


def put(state, lanes: Array, values):
    """``state`` with those lanes replaced; an index past the end is dropped."""
    return jax.tree.map(
        lambda old, new: old.at[lanes].set(new, mode="drop", unique_indices=True, indices_are_sorted=True),
        state,
        values,
    )


def choose(when: Array, yes, no):
    """`jnp.where` over all fields."""
    return jax.tree.map(lambda a, b: jnp.where(when, a, b), yes, no)


def sweep(visit: Callable, state, mask: Array, width: int):
    """``visit(lanes (width,), state) -> state`` for all true lanes of ``mask`` (n,), ``width`` at a time.

    Each round finds the lanes of the next: carried by the loop they are an array, which is found once; computed where
    they are used, the compiler would find them anew for every field that they select.
    """
    selection = Selection.of(mask)
    visits = (selection.total + width - 1) // width

    def round_(n, carried):
        lanes, state = carried
        return selection.lanes((n + 1) * width, width), visit(lanes, state)

    return jax.lax.fori_loop(0, visits, round_, (selection.lanes(jnp.int32(0), width), state))[1]


def drain(step: Callable, state, alive: Callable, width: int):
    """Apply ``step`` to the lanes that are ``alive``, ``width`` at a time, until none is.

    step: state -> state and alive: state -> (n,) bool are batched.
    """

    def visit(lanes, state):
        return put(state, lanes, step(take(state, lanes)))

    return jax.lax.while_loop(
        lambda state: jnp.any(alive(state)), lambda state: sweep(visit, state, alive(state), width), state
    )


def relay(load: Callable, move: Callable, working: Callable, outcome: Callable, jobs: Array, width: int, room: int):
    """Jobs 0, 1, ... up to ``jobs`` () int32 on ``width`` lanes: where one has ended, the next begins.

    load: job (width,) int32 -> state, not working where there is no such job; move: state -> state;
    working: state -> (width,) bool; outcome: state -> (width, ...) arrays. Returns the outcomes by job, (room, ...), 0
    where none is.
    Jobs that take many moves of a small state cost less so than by `drain`, which carries every state to and fro. The
    last ones finish on fewer lanes.
    """

    def round_(carried):
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

        def unfinished(carried, least=least):
            _, following, state, _ = carried
            return (following < jobs) | (jnp.sum(working(state)) > least)

        carried = jax.lax.while_loop(unfinished, round_, (job, following, state, outcomes))
        job, following, state, outcomes = carried
        lanes = Selection.of(working(state)).lanes(jnp.int32(0), few)
        job = jnp.where(lanes < job.size, take(job, lanes), room)
        state = take(state, lanes)
    return outcomes


def apart(hint: Array, fn: Callable, *args):
    """``fn(*args)`` of one lane, computed on its own.

    Its results become arrays. Otherwise the compiler fuses whatever uses them with whatever made them, and computes
    random numbers and logarithms anew for a dozen fields of the state. A branch is a wall that it respects, if it
    cannot know which way it goes: ``hint`` is any positive number () that is an argument of the program.
    """
    compute = lambda: fn(*args)  # noqa: E731
    nothing = lambda: jax.tree.map(lambda result: jnp.zeros(result.shape, result.dtype), jax.eval_shape(compute))  # noqa: E731
    return jax.lax.cond(hint > 0, compute, nothing)
