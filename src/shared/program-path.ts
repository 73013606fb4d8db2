import { accessSync, constants, statSync } from "node:fs";
import * as native from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The folders in which a program's name is looked up. Not the working folder, which may be a stranger's repository.
 * @param path the rules for paths of the platform that the environment is of; this one's unless told
 */
export function programFolders(env: Environment, path: native.PlatformPath = native): string[] {
  return (env.PATH ?? env.Path ?? "").split(path.delimiter).filter(path.isAbsolute);
}

/** The absolute path of a program by its file's name; undefined when there is none that may be started. */
export function findOnPath(
  file: string,
  env: Environment,
  path: native.PlatformPath = native,
): string | undefined {
  const paths = programFolders(env, path).map((folder) => path.join(folder, file));
  return paths.find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
