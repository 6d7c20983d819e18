"""Profiles: the standard's tables, options and a site's rules, one rule per attribute.

`load_profile` makes a `Profile`; `Profile.public` and `Profile.private` answer for an attribute,
`type_of` resolves what they leave open. Nothing here acts on an instance.
"""

from node.profile.actions import Action, Option, Rule
from node.profile.iod import type_of
from node.profile.key import KeyInvalid, KeyMissing, create_key, fingerprint, load_key
from node.profile.load import find_profile, load_profile, profile_names
from node.profile.mistakes import Mistake, ProfileError
from node.profile.pixel_rules import PIXEL_RULES, PixelAction
from node.profile.profile import CodeItem, Profile
from node.profile.recipe import Recipe

__all__ = [
    "PIXEL_RULES",
    "Action",
    "CodeItem",
    "KeyInvalid",
    "KeyMissing",
    "Mistake",
    "Option",
    "PixelAction",
    "Profile",
    "ProfileError",
    "Recipe",
    "Rule",
    "create_key",
    "find_profile",
    "fingerprint",
    "load_key",
    "load_profile",
    "profile_names",
    "type_of",
]
