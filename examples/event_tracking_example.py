"""Tells which features are used: an event is a name and a few properties.

Under lupis-run two lines are all there is to it; get_instance() is None when nothing launched and
nobody called LupisSDK.init, which this program does then.

    lupis-run python examples/event_tracking_example.py
    python examples/event_tracking_example.py
"""

from lupis_instrument import LupisConfig, LupisMetadata, LupisSDK


def export():
    """Does what a user asked for, and tells that it was used: this is the whole of it."""
    LupisSDK.get_instance().track_event("feature_used", {"feature": "export"})


def main():
    """Tracks what a user does."""
    lupis = LupisSDK.get_instance() or LupisSDK.init(LupisConfig(project_id="examples"))
    export()

    # Who did it: from here on, for all events and spans.
    lupis.set_metadata(LupisMetadata(user_id="user-7", session_id="browser-3"))
    lupis.track_event("report_opened", {"rows": 120, "filters": ["today", "mine"]})

    # A name that stands for a secret hides its value before the event leaves the process.
    lupis.track_event("connected", {"service": "crm", "api_key": "made-up-secret"})

    # For this event alone, laid over the metadata above.
    lupis.track_event("invited", {"seats": 2}, LupisMetadata(user_id="user-8"))
    print("tracked 4 events")  # they leave in the background, and at the latest when it ends


if __name__ == "__main__":
    main()
