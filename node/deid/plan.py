"""What was decided, remembered: a dictionary look-up per element from the second instance on."""

from __future__ import annotations

from functools import lru_cache

from node.deid import private
from node.deid.decision import Level, Rulebook
from node.deid.element import tag_of
from node.deid.rebuild import Plan as RebuildPlan
from node.deid.rebuild import Step
from node.profile.actions import Action, Option

_REMEMBERED = 20_000  # steps of one level; a hostile peer's nonsense fills no more
#: Stands for "not asked yet" where None means "keep".
_UNDECIDED: Step = b"undecided"


@lru_cache(maxsize=64)
def plan_for(book: Rulebook) -> Plan:
    """Give the plan of the top level; the same for profiles of the same digest."""
    return Plan(Level(book))


class Plan(dict[bytes, Step]):
    """Steps by element key for one data set level; filled as attributes turn up."""

    __slots__ = (
        "_children",
        "_concepts",
        "_level",
        "_privates",
        "keeps_private",
        "path",
        "timeless",
    )

    def __init__(self, level: Level, above: Plan | None = None) -> None:
        super().__init__()
        self._level = level
        self.path = level.path
        self._children: dict[tuple[int, Action | None], Plan] = {}
        self._privates: dict[tuple[str, bytes], Step] = {}
        self._concepts: dict[tuple[str, str, str], Action] = {}
        self.timeless: dict[tuple[RebuildPlan, bytes, bytes], bytes] = (
            {} if above is None else above.timeless
        )
        profile = level.book.profile
        self.keeps_private = bool(
            profile.site_private_rules or Option.RETAIN_SAFE_PRIVATE in profile.options
        )

    __hash__ = object.__hash__  # type: ignore[assignment]  # a place, and no mapping to compare

    def __eq__(self, other: object) -> bool:
        return self is other

    def __missing__(self, key: bytes) -> Step:
        tag = tag_of(key)
        if tag >> 16 & 1:
            step: Step = private.stay if self.keeps_private else b""
        else:
            step = self._level.decide(tag, key[4:].decode("latin-1"))
        if len(self) < _REMEMBERED:
            self[key] = step
        return step

    def child(self, tag: int, item_action: Action | None = None) -> Plan:
        """Give the plan of a sequence's items, or of those content items that meet this action."""
        child = self._children.get((tag, item_action))
        if child is None:
            child = Plan(Level(self._level.book, (*self.path, tag), item_action), self)
            if len(self._children) < _REMEMBERED:
                self._children[tag, item_action] = child
        return child

    def private(self, creator: str, key: bytes) -> Step:
        """Give the step of a private attribute by its creator."""
        step = self._privates.get((creator, key), _UNDECIDED)
        if step is _UNDECIDED:
            step = self._level.decide_private(creator, tag_of(key), key[4:].decode("latin-1"))
            if len(self._privates) < _REMEMBERED:
                self._privates[creator, key] = step
        return step

    def concept(self, scheme: str, code_value: str, value_type: str) -> Action:
        """Give the action of a content item by its concept name."""
        action = self._concepts.get((scheme, code_value, value_type))
        if action is None:
            action = self._level.concept(scheme, code_value, value_type)
            if len(self._concepts) < _REMEMBERED:
                self._concepts[scheme, code_value, value_type] = action
        return action
