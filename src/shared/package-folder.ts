import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * A folder of the files that come with this package: the one beside the nearest package.json above `moduleUrl` (a
 * module's `import.meta.url`; default: this one). So it is the same one for the sources, the build in `dist` and an
 * installed package. Throws when there is no package.json above, which means a broken installation.
 */
export function resolvePackageFolder(
  name: "workflows" | "plans" | "dist/dashboard" | "dist/widget",
  moduleUrl: string = import.meta.url,
): string {
  let folder = dirname(fileURLToPath(moduleUrl));
  while (!existsSync(join(folder, "package.json"))) {
    const above = dirname(folder);
    if (above === folder) {
      throw new Error(
        `The ${name} that come with this package were not found. Nothing was started. Install the package again.`,
      );
    }
    folder = above;
  }
  return join(folder, name);
}
