/** Cookies know no ports: the dashboard's is another one each time when the process begins that serves it. */
const NAME = "automagik_dashboard_figures";
const YEAR_S = 31_536_000;

/** Which figures were looked at last in this browser; nothing in it where none were. */
export function readKeptFigures(): URLSearchParams {
  const found = document.cookie.split("; ").find((one) => one.startsWith(`${NAME}=`));
  try {
    return new URLSearchParams(decodeURIComponent(found?.slice(NAME.length + 1) ?? ""));
  } catch {
    return new URLSearchParams();
  }
}

/** Keeps what was chosen, for the next time and the next port. */
export function keepFigures(query: URLSearchParams): void {
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in all browsers, nor at plain addresses.
  document.cookie = `${NAME}=${encodeURIComponent(query.toString())}; path=${window.location.pathname}; max-age=${YEAR_S}; samesite=strict`;
}
