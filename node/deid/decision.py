"""The one decision: what happens to an attribute, by its rule, its Type and its VR.

It is made once per attribute, place and SOP class; `plan` remembers it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from node.deid import content, documents, dummy_items, markers, values
from node.deid.dummies import encoded
from node.deid.element import PIXEL_DATA, Element, tag_bytes
from node.deid.rebuild import Apply, Step, apply, recurse
from node.deid.rebuild import Plan as RebuildPlan
from node.deid.treatment import Treatment
from node.profile.actions import Action, Option, Rule
from node.profile.defaults import NUMBER, TEXT, fits
from node.profile.iod import type_of
from node.profile.profile import Profile
from node.profile.tables import attribute, safe_private

_REMOVED = b""
#: How much is left by each action, and how much a Type asks for (PS3.15 E.1.1).
_STRICTNESS = {Action.X: 0, Action.Z: 1, Action.D: 2, Action.U: 2, Action.C: 3, Action.K: 3}
_ASKED = {"3": 0, "2": 1, "1": 2}

_PATIENT_NAME, _PATIENT_ID = 0x00100010, 0x00100020
_ACCESSION, _STUDY_ID = 0x00080050, 0x00200010
_TIMEZONE = 0x00080201
_CHARACTER_SET, _BIRTH_DATE = 0x00080005, 0x00100030
_DOCUMENT, _DOCUMENT_LENGTH = 0x00420011, 0x00420015
_GRAPHICS = (0x50, 0x60)  # the first byte of the repeating groups of curves and overlays
#: Attributes whose stand-in is a pseudonym and not a dummy, whatever replaces them.
_PSEUDONYMS = frozenset({_PATIENT_NAME, _PATIENT_ID, _ACCESSION, _STUDY_ID})
_MOVES = {"DA": values.shifted_date, "DT": values.shifted_datetime, "TM": values.time}
_TEMPORAL = _MOVES.keys()
#: Characters of a value, where text is cut to words that already fit (PS3.5 6.2).
_LONGEST = {"LO": 64, "SH": 16}
_OPAQUE = frozenset({"OB", "OW", "UN"})


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What decides for every instance of a SOP class under a profile."""

    digest: str
    sop_class_uid: str
    implicit: bool
    #: Some identifier is repeated somewhere: each text that would be kept is looked at.
    wary: bool
    profile: Profile = field(compare=False)


@dataclass(frozen=True, slots=True)
class Level:
    """The top level (an empty path) or a sequence's items, and what is decided there.

    In a content item (PS3.3 C.17.3) `item_action` is what its concept asks for its value.
    """

    book: Rulebook
    path: tuple[int, ...] = ()
    item_action: Action | None = None

    def concept(self, scheme: str, code_value: str, value_type: str) -> Action:
        """Give the action of a content item by its concept name."""
        actions = self.book.profile.concept(scheme, code_value, value_type).actions
        return actions[-1]  # of X/D the D: whether the template needs the item, no table tells

    def decide(self, tag: int, told: str) -> Step:
        """Decide for a public attribute that the file says has VR `told` ("": implicit VR)."""
        if (not self.path and tag in markers.OURS) or (self.path and tag == PIXEL_DATA):
            return _REMOVED
        known = attribute(tag)
        expected = known.vr if known else "UN"
        plain = expected.split(" or ")[0]
        vr = told if told not in ("", "UN") and fits(told, expected) else plain
        if self.item_action is not None and tag in content.VALUES:
            return self._act(self.item_action, tag, vr, "1")
        rule = self.book.profile.public(tag, told or plain)
        if vr == "SQ" and told not in ("", "SQ", "UN"):
            return _REMOVED
        if not rule.verb and tag >> 24 in _GRAPHICS:
            return _REMOVED  # cleaning a bitmap of text is removing it, also under Clean Graphics
        return self._by_type(rule, tag, vr)

    def _by_type(self, rule: Rule, tag: int, vr: str) -> Step:
        """Resolve what hangs on the attribute's Type: now, or per instance where modules decide."""
        path, sop_class = (*self.path, tag), self.book.sop_class_uid
        steps = {kind: self._resolved(rule, tag, vr, kind) for kind in _ASKED}
        least, most = type_of(sop_class, path, ()), type_of(sop_class, path)
        if least == most:
            return steps[least]

        def step(treatment: Treatment, plan: RebuildPlan, buffer: bytes, element: Element) -> bytes:
            kind = type_of(sop_class, path, treatment.present)
            return apply(steps[kind], treatment, plan, buffer, element)

        return step

    def _resolved(self, rule: Rule, tag: int, vr: str, kind: str) -> Step:
        if rule.verb:
            return self._site(rule, tag, vr, kind)
        if rule.actions == (Action.Z,) and kind == "1":
            return self._act(Action.D, tag, vr, kind)
        if len(rule.actions) == 1:
            return self._act(rule.actions[0], tag, vr, kind)
        if Action.U in rule.actions and kind != "3":
            return self._act(Action.U, tag, vr, kind)  # X/Z/U*: references stay where they may
        offered = sorted(rule.actions, key=_STRICTNESS.__getitem__)
        enough = [action for action in offered if _STRICTNESS[action] >= _ASKED[kind]]
        return self._act(enough[0] if enough else Action.D, tag, vr, kind)

    def _act(  # noqa: PLR0911 -- one answer per action
        self, action: Action, tag: int, vr: str, kind: str
    ) -> Step:
        match action:
            case Action.X:
                return _REMOVED
            case Action.Z:
                return self._empty(tag, vr)
            case Action.D:
                return self._dummy(tag, vr)
            case Action.U if vr in ("UI", "SQ"):
                return recurse if vr == "SQ" else values.remapped
            case Action.U:
                return self._dummy(tag, vr)
            case Action.K:
                return self._keep(vr, kind, tag)
            case Action.C:
                return self._clean(tag, vr, kind)

    def _empty(self, tag: int, vr: str) -> Step:
        if tag in _PSEUDONYMS:
            return self._pseudonym(tag, vr)
        return encoded(tag_bytes(tag), vr, b"", implicit=self.book.implicit)

    def _dummy(self, tag: int, vr: str) -> Step:
        if tag in _PSEUDONYMS:
            return self._pseudonym(tag, vr)
        if tag == _DOCUMENT:
            return documents.dummy_document
        if vr == "SQ":
            return dummy_items.dummy_sequence(tag, implicit=self.book.implicit)
        if vr == "UI":
            return values.remapped
        known = attribute(tag)
        return values.dummy_step(vr, known.vm if known else "1")

    def _pseudonym(self, tag: int, vr: str) -> Step:
        if tag == _PATIENT_ID:
            return values.nested_patient_id if self.path else values.always(vr, values.pseudonym)
        if tag == _PATIENT_NAME:
            return values.always(vr, values.pseudonym)
        change = values.accession_number if tag == _ACCESSION else values.study_id
        return values.changing(vr, change, _REMOVED)

    def _recurse(self, tag: int) -> Step:
        options = self.book.profile.options
        structured = Option.CLEAN_STRUCTURED_CONTENT in options and tag in content.SEQUENCES
        return content.clean if structured else recurse

    def _keep(self, vr: str, kind: str, tag: int) -> Step:
        if vr == "SQ":
            return self._recurse(tag)
        if vr == "AS":
            return values.changing(vr, values.age, self._gone(tag, vr, kind))
        if tag == _DOCUMENT_LENGTH and not self.book.profile.public(_DOCUMENT, "OB").verb:
            return documents.dummy_length
        if self.book.wary and tag != _CHARACTER_SET:
            check = values.WARY.get(vr)
            return values.changing(vr, check, self._gone(tag, vr, "1")) if check else None
        return None

    def _clean(  # noqa: PLR0911 -- one answer per kind of value
        self, tag: int, vr: str, kind: str
    ) -> Step:
        """Clean by VR; where nothing may stay, the Type says what stands there instead."""
        gone = self._gone(tag, vr, kind)
        options = self.book.profile.options
        if vr == "SQ":
            return self._recurse(tag)
        if vr in _TEMPORAL or tag == _TIMEZONE:
            return self._date(tag, vr, kind)
        if vr == "UI":
            kept = Option.RETAIN_UIDS in options
            return None if kept else values.remapped
        if vr == "AS":
            return values.changing(vr, values.age, gone)
        if vr in TEXT:
            change = values.cleaned_to(_LONGEST[vr]) if vr in _LONGEST else values.cleaned
            return values.changing(vr, change, gone)
        if vr in NUMBER:
            return None
        if tag >> 16 & 1 and (vr == "CS" or vr in _OPAQUE):
            return values.changing(vr, values.unless_identifying, gone)
        if vr == "CS":
            return values.changing(vr, values.defined_term, gone)
        return gone

    def _date(self, tag: int, vr: str, kind: str) -> Step:
        gone = self._gone(tag, vr, kind)
        options = self.book.profile.options
        if Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in options:
            return values.changing(vr, _MOVES.get(vr, values.offset), gone)
        return None if Option.RETAIN_LONGITUDINAL_FULL_DATES in options else gone

    def _gone(self, tag: int, vr: str, kind: str) -> Apply | bytes:
        """Give what stands where nothing of the value may stay, by Type."""
        step = {"1": self._dummy, "2": self._empty}.get(kind, _removed)(tag, vr)
        return b"" if step is None else step

    def _site(  # noqa: PLR0911 -- one answer per verb
        self, rule: Rule, tag: int, vr: str, kind: str
    ) -> Step:
        """Do what a rule of the site's profile says."""
        match rule.verb:
            case "keep":
                return recurse if vr == "SQ" else None
            case "empty":
                return encoded(tag_bytes(tag), vr, b"", implicit=self.book.implicit)
            case "replace":
                return values.always(vr, values.given(rule.value))
            case "hash":
                change = values.hashed(f"{tag:08X}")
                return values.changing(vr, change, self._gone(tag, vr, kind))
            case "remap":
                return values.remapped
            case "shift":
                if tag == _BIRTH_DATE:
                    return values.changing(vr, values.birth_date, self._gone(tag, vr, kind))
                return values.changing(vr, _MOVES[vr], self._gone(tag, vr, kind))
            case _:  # "remove"
                return _REMOVED

    def decide_private(self, creator: str, tag: int, told: str) -> Step:
        """Decide for a private attribute of a creator; `told` as in `decide`."""
        listed = safe_private().get((tag >> 16, creator, tag & 0xFF), "").split("/")[0]
        vr = told if told not in ("", "UN") else listed or "UN"
        rule = self.book.profile.private(tag >> 16, creator, tag & 0xFF, told or listed or "UN")
        if rule.verb in ("replace", "hash"):
            step = _private_text(rule, creator, tag, told)
        elif rule.verb and (rule.verb != "shift" or vr in _MOVES):
            step = self._site(rule, tag, vr, "3")
        else:
            step = self._act(rule.actions[0], tag, vr, "3")
        return values.or_removed(step) if vr == "SQ" else step


def _private_text(rule: Rule, creator: str, tag: int, told: str) -> Step:
    """Replace or hash a private text; one that is no such text, as the rule says, goes."""
    if told not in ("", "UN", rule.vr):
        return _REMOVED
    vr = told or rule.vr
    if rule.verb == "replace":
        return values.always(vr, values.given(rule.value))
    attribute = f"{tag >> 16:04X},{creator},{tag & 0xFF:02X}"
    return values.changing(vr, values.hashed(attribute), _REMOVED)


def _removed(_tag: int, _vr: str) -> bytes:
    return _REMOVED
