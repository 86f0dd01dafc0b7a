export {
  html,
  render,
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useRef,
  useState,
} from "../vendor/preact/htm-preact.js";
