// Starts the page: chooses the view for the path, and keeps the header and the details around it.
import { html, render, useEffect, useErrorBoundary, useState } from "./preact.js";
import { followLinks, useLocation } from "./location.js";
import { startStream } from "./stream.js";
import { listenToKeys } from "./keys.js";
import { Header } from "./header.js";
import { Help } from "./help.js";
import { Panel } from "./panel.js";
import { Page } from "./parts.js";
import { LivePage } from "./pages/live.js";
import { ComparePage, RunPage, RunsPage } from "./pages/runs.js";
import { TracePage } from "./pages/trace.js";
import { ConversationPage, ConversationsPage } from "./pages/conversations.js";
import { CostsPage } from "./pages/costs.js";
import { ErrorsPage } from "./pages/errors.js";
import { CachePage } from "./pages/cache.js";
import { DeliveryPage, EventsPage } from "./pages/delivery.js";

const VIEWS = {
  "": LivePage,
  runs: RunsPage,
  "runs/": RunPage,
  "traces/": TracePage,
  conversations: ConversationsPage,
  conversation: ConversationPage,
  costs: CostsPage,
  errors: ErrorsPage,
  cache: CachePage,
  compare: ComparePage,
  delivery: DeliveryPage,
  events: EventsPage,
};

function App() {
  const { path, params } = useLocation();
  const [isHelpOpen, setHelpOpen] = useState(false);
  const showHelp = () => setHelpOpen(true);
  useEffect(() => listenToKeys({ showHelp }), []);
  const open = params.get("open");
  const [, section, id] = path.split("/");
  const View = VIEWS[id ? `${section}/` : section] || MissingPage;
  return html`
    <${Header} showHelp=${showHelp} />
    <div class=${`columns ${open ? "with-panel" : ""}`}>
      <main id="main" tabindex="-1"><${Guard} key=${path}><${View} id=${id && decodeURIComponent(id)} /><//></main>
      ${open && html`<${Guard} key="details"><${Panel} open=${open} /><//>`}
    </div>
    <${Help} isOpen=${isHelpOpen} close=${() => setHelpOpen(false)} />`;
}

// A fault in a view leaves the rest of the page usable.
function Guard({ children }) {
  const [error] = useErrorBoundary();
  return error
    ? html`<p class="problem" role="alert">This view has failed: ${error.message}. Load the page again.</p>`
    : children;
}

const MissingPage = () => html`<${Page} title="No such page"><p><a href="/">Live</a> shows the newest calls.</p><//>`;

followLinks();
startStream();
render(html`<${App} />`, document.getElementById("app"));
