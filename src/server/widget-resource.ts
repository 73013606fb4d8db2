import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ResourceProblem } from "./plan-resource.js";
import type { Content, ResourceDefinition } from "./resources.js";
import { WIDGET_TYPE, WIDGET_URI } from "./tools/apps.js";

/** What a host is told of the page: it asks no address for anything, shows no frame and needs no device. */
const META = {
  ui: {
    csp: { connectDomains: [], resourceDomains: [], frameDomains: [], baseUriDomains: [] },
    prefersBorder: true,
  },
};

/** The page of the widget. Nothing for a model to read, so it is listed only for clients that show widgets. */
export const widgetResource: ResourceDefinition & { mimeType: string } = {
  uri: WIDGET_URI,
  name: "widget",
  description: "Shows a run or a plan in the chat.",
  mimeType: WIDGET_TYPE,
  read: readWidget,
};

let reading: Promise<string> | undefined;

async function readPage(): Promise<string> {
  const { resolvePackageFolder } = await import("../shared/package-folder.js");
  return readFile(join(resolvePackageFolder("dist/widget"), "widget.html"), "utf8");
}

/** @throws ResourceProblem when the file is not there */
async function readWidget(): Promise<Content[]> {
  reading ??= readPage();
  try {
    return [{ mimeType: WIDGET_TYPE, text: await reading, _meta: META }];
  } catch {
    // What is not built yet may be there the next time.
    reading = undefined;
    throw new ResourceProblem(
      "The page of the widget is missing in this installation. Nothing was changed. The status tells the same as " +
        "text; to have the widget, install the package again.",
      false,
    );
  }
}
