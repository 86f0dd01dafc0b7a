"""The resource has the attributes that all spans of a process share."""

from lupis_instrument import LupisConfig
from lupis_instrument._tracing.resource import build_resource


def test_tags_are_attributes_of_the_resource():
    """`lupis report --by tag.KEY` reads them there."""
    resource = build_resource(LupisConfig("shop", tags={"team": "search", "env": "test"}))
    assert {"lupis.tag.team": "search", "lupis.tag.env": "test"} == {
        name: value for name, value in resource.attributes.items() if "tag" in name
    }


def test_a_resource_without_tags_has_no_such_attribute():
    """Most programs have none."""
    assert not any("tag" in name for name in build_resource(LupisConfig("shop")).attributes)
