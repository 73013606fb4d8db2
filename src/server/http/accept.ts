/** What a client reads. */
export interface Accepted {
  /** Server-sent events. */
  stream: boolean;
  json: boolean;
}

/** Reads an Accept header. Without one, everything will do, as the HTTP standard has it. */
export function readAccept(accept: string | undefined): Accepted {
  const ranges = (accept?.trim() || "*/*").split(",").flatMap((one) => {
    const [range = "", ...parameters] = one.split(";").map((part) => part.trim().toLowerCase());
    return parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) ? [] : [range];
  });
  const takes = (...wanted: string[]) => ranges.some((range) => wanted.includes(range));
  return {
    stream: takes("*/*", "text/*", "text/event-stream"),
    json: takes("*/*", "application/*", "application/json"),
  };
}
