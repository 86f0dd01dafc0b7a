"""The web page of `lupis ui`, its JSON API, and the receiver of spans and events from any program.

    server         accepts connections, a bounded number of them at once
    handler        reads a request, checks it (`guards`, `session`) and writes the answer
    routes         the table of paths: each has a question of `answers` or `detail_answers`
    answers        answers in JSON about many calls; `call_json` has the JSON of one call
    readers        a connection to the store for each thread, and answers kept for a while
    stream         tells open pages that the store has changed
    static_files   the files of the page
    receiver       takes spans and events: `request_body` reads them, `received_spans`, `otlp_logs`
                   and `event_json` prepare them
    received_spans prepares many spans at once: `otlp_wire` splits them, `known_attributes` filters
                   each different attribute once; `otlp_spans` prepares spans with other fields

The server uses the standard library alone. A request without a body never loads the receiver.
"""
