"""Tracks the use of features with events. An event has a name and a few properties.

Under lupis-run, two lines are enough. Without lupis-run, get_instance() returns None, and the
program calls LupisSDK.init itself.

    lupis-run python examples/event_tracking_example.py
    python examples/event_tracking_example.py
"""

from lupis_instrument import LupisConfig, LupisMetadata, LupisSDK


def export():
    """Do the work of a feature, and track its use: one line is enough."""
    LupisSDK.get_instance().track_event("feature_used", {"feature": "export"})


def main():
    """Track the actions of a user."""
    lupis = LupisSDK.get_instance() or LupisSDK.init(LupisConfig(project_id="examples"))
    export()

    # The user of all events and spans from here on.
    lupis.set_metadata(LupisMetadata(user_id="user-7", session_id="browser-3"))
    lupis.track_event("report_opened", {"rows": 120, "filters": ["today", "mine"]})

    # A property with the name of a secret is redacted before the event leaves the process.
    lupis.track_event("connected", {"service": "crm", "api_key": "made-up-secret"})

    # Metadata for this event only, added to the metadata above.
    lupis.track_event("invited", {"seats": 2}, LupisMetadata(user_id="user-8"))
    print("tracked 4 events")  # a background thread sends them, at the latest when the program ends


if __name__ == "__main__":
    main()
