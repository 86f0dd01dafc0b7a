// Fetches the JSON of the API, again after each change of the store.
import { useEffect, useRef, useState } from "./preact.js";
import { DEFAULT_SINCE, useLocation } from "./location.js";
import { listenToStream } from "./stream.js";

export async function fetchJson(url, signal) {
  let response;
  try {
    response = await fetch(url, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The viewer does not answer. Run `lupis ui` again and open the line that it prints.");
  }
  if (response.status === 401) {
    throw new Error("This page's session has ended. Run `lupis ui` and open the line that it prints.");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw Object.assign(new Error(body.error || `The viewer answered ${response.status}.`), {
      status: response.status,
    });
  }
  return body;
}

export function makeUrl(path, params) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const item of [value].flat()) {
      if (item !== null && item !== undefined && item !== "") query.append(name, item);
    }
  }
  return query.size === 0 ? path : `${path}?${query}`;
}

// The filter and the time range of the page, for the API.
export function useQuestion() {
  const { params } = useLocation();
  return {
    q: params.get("q"),
    since: params.get("since") || DEFAULT_SINCE,
    until: params.get("until"),
  };
}

// Returns { data, error }. The data of the last answer stays until the next answer, so that nothing jumps.
export function useApi(path, params = {}) {
  const url = makeUrl(path, params);
  const [answer, setAnswer] = useState({});
  const current = useRef(url);
  current.current = url;
  useEffect(() => {
    const controller = new AbortController();
    let isBusy = false;
    let isStale = false;
    const load = async () => {
      if (isBusy) {
        isStale = true;
        return;
      }
      isBusy = true;
      try {
        const data = await fetchJson(url, controller.signal);
        setAnswer({ path, url, data });
      } catch (error) {
        if (error.name !== "AbortError") {
          setAnswer((last) => ({ path, url, error, data: last.path === path ? last.data : undefined }));
        }
      }
      isBusy = false;
      if (isStale && !controller.signal.aborted) {
        isStale = false;
        load();
      }
    };
    load();
    const stop = listenToStream((kind) => kind === "change" && load());
    return () => {
      stop();
      controller.abort();
    };
  }, [url]);
  if (answer.path !== path) return {};
  return { ...answer, isOld: answer.url !== url };
}
