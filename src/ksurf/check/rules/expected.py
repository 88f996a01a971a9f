"""Whether a kernel has a thing as the consumer was built with it."""

from __future__ import annotations

from ksurf.check.c_type import same_type
from ksurf.check.dependency import Dependency, Kind
from ksurf.check.facts import Facts
from ksurf.check.hook import base_name
from ksurf.check.rules.layout import has_layout, prototype_changes
from ksurf.check.rules.parameter import parsed

__all__ = ["is_as_expected"]


def is_as_expected(dependency: Dependency, facts: Facts) -> bool:
    """Whether the kernel's type is the one that the consumer names; not where it names none."""
    if dependency.layout:
        return all(has_layout(one, facts) for one in dependency.layout)
    expected = dependency.expected
    if expected is None:
        return False
    owner, _, wanted = dependency.name.partition("::")
    match dependency.kind:
        case Kind.FIELD:
            status = facts.fields.get(dependency.name)
            return status is not None and any(
                same_type(expected, variant.content.field.type) for variant in status.variants
            )
        case Kind.PARAMETER:
            for prototype in parsed(facts.prototypes.get(base_name(owner), ()), base_name(owner)):
                if wanted == "return":
                    found = prototype.return_type
                else:
                    params = prototype.params
                    places = [p for at, p in enumerate(params) if wanted in {p.name, str(at)}]
                    found = places[0].type if places else ""
                if same_type(expected, found):
                    return True
            return False
        case Kind.EXPORT:
            return prototype_changes(dependency.name, expected, facts) == []
        case _:
            return False
