import { type FoundTemplate, TemplateError, type TemplatePlace } from "../../plan-templates/templates.js";
import { cleanLine } from "../../shared/text.js";
import { ActionError, type NextStep } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { placeOfTemplates } from "./standing-in.js";

const NOTHING = "Nothing was begun.";

/**
 * The template of that name where the call's plan would work, as far as the call says where that is.
 * @throws ActionError when there is none, or it cannot be read
 */
export async function findTemplate(
  name: string,
  args: { repository_url?: string | undefined; git_branch?: string | undefined },
  call: Call,
  services: Services,
): Promise<FoundTemplate> {
  const place = await placeOfTemplates(args, call, services);
  const found = await find(name, place, call, services);
  if (found) return found;
  const known = await services.templates.list(place, call.signal);
  const names = known.flatMap((one) => (one.name ? [one.name] : []));
  throw new ActionError(
    `There is no template "${cleanLine(name, 100)}". There are: ${names.join(", ") || "none"}. ${NOTHING} A plan of your own is given as JSON or YAML.`,
    { action: "list_plans", arguments: {}, reason: "See the templates and what they ask for." },
  );
}

/**
 * A template as it is where the plan is going to work, which is known only now. A repository's own may have been read
 * elsewhere, at the place where the client stands, or before somebody committed to it.
 * @param startAgain the same call with all that was settled
 * @throws ActionError when it is another one there, or none
 */
export async function findTemplateThere(
  template: FoundTemplate,
  { repositoryUrl, gitBranch }: { repositoryUrl: string; gitBranch: string },
  startAgain: (reason: string) => NextStep,
  call: Call,
  services: Services,
): Promise<FoundTemplate> {
  if (template.source !== "repository") return template;
  const { name, digest, from } = template;
  const there = await find(name, { repositoryUrl, gitBranch: gitBranch || undefined }, call, services);
  if (there?.digest === digest) return there;
  const read = `The template ${cleanLine(name, 100)} was read from ${cleanLine(from, 90)}`;
  if (!repositoryUrl)
    throw new ActionError(
      `${read}, and the plan would work in no repository. ${NOTHING} Name the repository that it is for.`,
      startAgain("Ask the person for which repository it is."),
    );
  if (!there)
    throw new ActionError(
      `${read}; the repository and branch that the plan would work in have none of that name. ${NOTHING} Commit it there, or give the plan itself.`,
      { action: "list_plans", arguments: {}, reason: "See the templates that there are." },
    );
  throw new ActionError(
    `${read}; where the plan would work it says something else (${cleanLine(there.from, 90)}). ${NOTHING} Call again to begin the one that is there.`,
    startAgain("Ask the person first: the template is another one where the plan would work."),
  );
}

async function find(
  name: string,
  place: TemplatePlace,
  call: Call,
  { templates }: Services,
): Promise<FoundTemplate | undefined> {
  try {
    return await templates.find(name, place, call.signal);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new ActionError(`${error.message} ${NOTHING}`);
  }
}
