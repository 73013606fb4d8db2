import type { TemplatePlace } from "../../plan-templates/templates.js";
import type { Call, Services } from "../define-action.js";
import { findClientRepository } from "../start/client-folders.js";
import { readRepository } from "../start/local-repository.js";

/**
 * Where templates are looked for: the repository that is named, else the one that the client stands in.
 * @throws ActionError when what is named is no repository
 */
export async function placeOfTemplates(
  { repository_url, git_branch }: { repository_url?: string | undefined; git_branch?: string | undefined },
  call: Call,
  services: Services,
): Promise<TemplatePlace> {
  const gitBranch = git_branch || undefined;
  if (repository_url === "") return {};
  if (repository_url)
    return { repositoryUrl: await readRepository(repository_url, { call, services }), gitBranch };
  const here = await findClientRepository(call, services, call.signal).catch(() => undefined);
  const repositoryUrl = services.settings.engine === "local" ? here?.top : here?.repositoryUrl;
  return { repositoryUrl, gitBranch };
}
