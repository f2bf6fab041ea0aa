"""Visit every state that can be reached, breadth first, and remember how."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.protocol.world import State, Step, UnsafeError, World


@dataclass
class Found:
    """What a search saw."""

    #: Each state with the one before it, and what happened in between.
    states: dict[State, tuple[State | None, str]] = field(default_factory=dict)
    #: States by what they may become without bad luck, backwards.
    before: dict[State, list[State]] = field(default_factory=dict)
    #: The first state in which a conversion is sent that must not be.
    unsafe: State | None = None

    def first(self, condition: Callable[[State], bool]) -> State | None:
        """Return a state that is so, one of those that the fewest steps lead to."""
        return next(filter(condition, self.states), None)

    def story(self, state: State | None) -> str:
        """Say how much was seen, and what happened, in the fewest steps, up to a state."""
        way: list[str] = []
        while state is not None:
            earlier, name = self.states[state]
            way.append(f"{name:40} {state}")
            state = earlier
        return "\n".join([f"{len(self.states)} states were reached.", *reversed(way)])

    def reaching(self, goal: Callable[[State], bool]) -> set[State]:
        """Return the states from which the goal can be reached without bad luck."""
        reached = {state for state in self.states if goal(state)}
        queue = deque(reached)
        while queue:
            for earlier in self.before.get(queue.popleft(), ()):
                if earlier not in reached:
                    reached.add(earlier)
                    queue.append(earlier)
        return reached


def search(world: World, start: State) -> Found:
    """Visit everything that can be reached, up to the first unsafe step."""
    found = Found(states={start: (None, "the lead is to be converted")})
    queue = deque([start])
    # There are a million tuples and no circle among them: nothing for the collector.
    gc.disable()
    while queue and not found.unsafe:
        state = queue.popleft()
        try:
            _visit(state, list(world.steps(state)), found, queue)
        except UnsafeError:
            found.unsafe = state
    gc.enable()
    return found


def _visit(state: State, steps: list[Step], found: Found, queue: deque[State]) -> None:
    for name, after, is_fault in steps:
        if not is_fault:
            found.before.setdefault(after, []).append(state)
        if after not in found.states:
            found.states[after] = (state, name)
            queue.append(after)
