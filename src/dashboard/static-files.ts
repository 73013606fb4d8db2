import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** A file of the page. */
export interface StaticFile {
  body: Uint8Array<ArrayBuffer>;
  type: string;
  etag: string;
}

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  png: "image/png",
  ico: "image/x-icon",
  woff2: "font/woff2",
  txt: "text/plain; charset=utf-8",
};

/**
 * The files of the page. The folder is read once, with the first request: only what it had then is served, by exactly the
 * names that it has there, so that no path can lead out of it.
 * @returns finds one by its name; undefined for any other name
 */
export function createStaticFiles(folder: string): (name: string) => Promise<StaticFile | undefined> {
  let reading: Promise<Map<string, StaticFile>> | undefined;

  async function readAll(): Promise<Map<string, StaticFile>> {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    const files = await Promise.all(
      entries.flatMap((entry) => {
        const type = TYPES[/\.(\w+)$/.exec(entry.name)?.[1] ?? ""];
        return entry.isFile() && type ? [readOne(entry.name, type)] : [];
      }),
    );
    return new Map(files);
  }

  async function readOne(name: string, type: string): Promise<[string, StaticFile]> {
    const body = new Uint8Array(await readFile(join(folder, name)));
    const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
    return [name, { body, type, etag }];
  }

  return async (name) => {
    reading ??= readAll();
    const files = await reading;
    // What is not built yet may be there the next time.
    if (files.size === 0) reading = undefined;
    return files.get(name);
  };
}
