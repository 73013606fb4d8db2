import type { Plans } from "../../plan-runner/plans.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import { type FoundTemplate, TemplateError } from "../../plan-templates/templates.js";
import type { DryRun } from "../../plans/dry-run.js";
import type { SoundPlan } from "../../plans/language/check-plan.js";
import type { FieldValue, Plan } from "../../plans/plan.js";
import { onBehalfOf } from "../../runs/on-behalf.js";
import { cleanLine } from "../../shared/text.js";
import { ActionError, type Answer, type NextStep } from "../answer.js";
import type { Arguments } from "../arguments.js";
import type { Call, Services } from "../define-action.js";
import { checkSessionName } from "../start/check-arguments.js";
import type { StartArguments, Task } from "../start/draft.js";
import { showRepository } from "../start/form-questions.js";
import { cancelledBeforeStart, preparePlace } from "../start/prepare-start.js";
import { agreeToPlan, findAgreement } from "./agree.js";
import { answerDryRun } from "./answer-dry-run.js";
import { type ChosenWorkflows, checkAsking, tellChosen } from "./choose-for-steps.js";
import { findTemplate, findTemplateThere } from "./find-template.js";
import { askForInputs, readInputs } from "./input-questions.js";
import { findIssueOfPlan, tellIssueOfPlan, withMadeIssue } from "./issue-of-plan.js";
import { openPlans, telling } from "./open-plans.js";
import { beginNamed, checkPlanName, createNamer, ownName, settleName } from "./plan-name.js";
import { composePlan, isTemplateName, readRecord, requireSound } from "./read-plan.js";
import { tellCost, tellInputs } from "./tell-start.js";

/** What a plan can be begun with. */
export const START_PARAMETERS = [
  "plan",
  "inputs",
  "dry_run",
  "steps",
  "limits",
  "session_name",
  "repository_url",
  "git_branch",
  "wait_seconds",
  "issue",
  "confirm",
  "finish",
] as const;
export type StartPlanArguments = Arguments<(typeof START_PARAMETERS)[number]>;

/** A plan that has begun in this call, or the one of its name that goes on. */
export type Begun = { sight: PlanSight; first: string; isNew: boolean };

const NOTHING = "Nothing was begun.";
/** Above this length, in characters, a plan is not repeated in advice. */
const REPEATED_LIMIT = 4_000;
const ABOUT_CHARS = 200;
/** Of a repository, where a form says that the work goes there. */
const PLACE_CHARS = 80;

/** A plan that was read and checked. */
interface ReadPlan {
  plan: Plan;
  inputs: Record<string, FieldValue>;
  missing: string[];
  /** The inputs of the call, by their names. */
  given: Record<string, unknown>;
  source: unknown;
  template?: FoundTemplate;
  /** What came of steps that say `auto`, and what the person has chosen for them. */
  chosen: SoundPlan["chosen"];
  asked: ChosenWorkflows;
}

/**
 * Begins a plan: checked, completed by the person in one form, agreed to where it has to be.
 * @param planFile the file of this machine that it was read from, absolute
 * @returns the plan, or the answer with which the call ends: then nothing was begun
 * @throws ActionError when it cannot be begun; nothing was
 */
export async function startPlan(
  args: StartPlanArguments,
  call: Call,
  services: Services,
  planFile?: string,
): Promise<Begun | Answer> {
  if (args.finish === "merge")
    throw new ActionError(
      `\`finish\`: a plan ends with its branches, or with \`pull_request\`; what it merges is said by its merge steps. ${NOTHING}`,
    );
  const plans = await openPlans(services);
  const read = await readPlan(args, plans, call, services);
  if ("outcome" in read) return read;
  if (args.dry_run) return answerDryRun(read, await foresee(read, plans, args.repository_url));
  if (!services.api.hasKey)
    throw new ActionError(
      `No API key is set. ${NOTHING} Set AUTOMAGIK_WORKFLOWS_API_KEY and start the server again.`,
    );
  const namer = await createNamer(read.plan, plans, services);
  const ahead = await foresee(read, plans, args.repository_url);
  const task = {
    ...createPlanTask(args, read, ahead, namer.suggest, beginsAtBranch(services)),
    planFile,
  };
  const draft = await preparePlace(placeArguments(args, read), { call, services, task });
  if ("outcome" in draft) return draft;
  const { values, more = {}, branchNote = "", changesNote = "", permission, publishes } = draft;
  if (!values) throw new Error("The form step has to settle all values.");
  const whole = await complete(read, readInputs(read.plan.inputs, more), plans, call);
  if ("outcome" in whole) return whole;
  const settled = {
    inputs: whole.given,
    session_name: values.sessionName,
    repository_url: values.repositoryUrl,
    git_branch: values.gitBranch,
  };
  checkPlanName(values.sessionName);
  const template =
    read.template &&
    (await findTemplateThere(
      read.template,
      values,
      (reason) => again(args, { ...settled, repository_url: values.repositoryUrl || undefined }, reason),
      call,
      services,
    ));
  const named = await settleName(
    values.sessionName,
    {
      free: namer.free(values.sessionName),
      plans,
      startAgain: (name, reason) => again(args, { ...settled, session_name: name }, reason),
    },
    call,
    services,
  );
  if ("outcome" in named) return named;
  if ("follow" in named) return followNamesake(named.follow, plans);
  const isSame = whole === read && (values.repositoryUrl || undefined) === args.repository_url;
  const foreseen = isSame ? ahead : await foresee(whole, plans, values.repositoryUrl);
  const needed = findAgreement(whole.plan, foreseen, template, services);
  if (needed) {
    const ended = await agreeToPlan(
      needed,
      whole.plan,
      foreseen,
      {
        deed: `Begin the plan ${cleanLine(named.name, 60)}`,
        ...(values.repositoryUrl
          ? { place: cleanLine(showRepository(values.repositoryUrl, services.home), PLACE_CHARS) }
          : {}),
        arguments: again(args, { ...settled, session_name: named.name }, "").arguments,
        confirm: args.confirm,
        untouched: `${NOTHING} No run was started.`,
      },
      call,
      services,
    );
    if (ended) return ended;
  }
  const about = await findIssueOfPlan(
    { fields: whole.plan.inputs, inputs: whole.inputs, issue: args.issue, name: named.name },
    {
      repositoryUrl: values.repositoryUrl || undefined,
      confirm: args.confirm,
      again: again(args, { ...settled, session_name: named.name }, ""),
    },
    call,
    services,
  );
  if ("outcome" in about) return about;
  if (call.signal.aborted) return cancelledBeforeStart();
  const issue = await about.issue?.get();
  // Who has agreed to other steps has not seen the template's.
  const shown = args.steps === undefined ? template : undefined;
  const notes = [
    tellChosen(whole),
    branchNote,
    changesNote,
    await keepTrust(shown, services),
    template?.note,
    issue && tellIssueOfPlan(issue, about),
  ];
  const { repositoryUrl, gitBranch } = values;
  const sight = await withMadeIssue(about, () =>
    beginNamed(named.name, () =>
      plans.begin({
        plan: { ...withoutFinish(whole.plan), ...(publishes ? { finish: "pull_request" as const } : {}) },
        inputs: about.inputs,
        name: named.name,
        template: args.steps === undefined ? template?.name : undefined,
        // Who has agreed to all that it takes is not asked for it again.
        ...(needed && !foreseen.runs.isOpen ? { agreeAbove: {} } : {}),
        place: {
          ...(repositoryUrl ? { repositoryUrl } : {}),
          ...(gitBranch ? { gitBranch } : {}),
          ...(permission?.consent ? { consent: permission.consent } : {}),
          onBehalf: onBehalfOf(call.person, services),
          ...(issue ? { issue } : {}),
        },
      }),
    ),
  );
  const said = notes.flatMap((note) => (note?.trim() ? [note.trim()] : []));
  return { sight, first: [`Began the plan ${cleanLine(named.name, 60)}.`, ...said].join(" "), isNew: true };
}

async function readPlan(
  args: StartPlanArguments,
  plans: Plans,
  call: Call,
  services: Services,
): Promise<ReadPlan | Answer> {
  const text = args.plan?.trim();
  if (!text && !args.steps)
    throw new ActionError(`\`plan\` is missing: a template's name, or the plan itself. ${NOTHING}`, {
      action: "list_plans",
      arguments: {},
      reason: "See which templates and plans there are.",
    });
  const given = (await readRecord("inputs", args.inputs)) ?? {};
  const template = text && isTemplateName(text) ? await findTemplate(text, args, call, services) : undefined;
  const source = await composePlan(template?.text ?? (text || undefined), args);
  // Nobody knows yet which workflows there are, when the first look at them has not come.
  if (!services.catalogue.state().available) await services.catalogue.refresh();
  // Who only wants to know what it would take is asked nothing.
  const options = { inputs: given, name: template?.name, asks: !args.dry_run };
  const found = await checkAsking(plans, source, options, call);
  if ("outcome" in found) return found;
  const what = template ? `The template ${template.name}` : "The plan";
  return {
    ...requireSound(found.checked, what),
    given,
    source,
    ...(template ? { template } : {}),
    asked: found.chosen,
  };
}

/** What the steps of a start are told; uncommitted changes stay out, since a plan has many starts. */
function placeArguments(args: StartPlanArguments, { plan, template }: ReadPlan): StartArguments {
  const own = template ? undefined : ownName(plan);
  const name = args.session_name ?? own;
  if (name !== undefined) checkSessionName(name);
  return {
    ...(name === undefined ? {} : { session_name: name }),
    ...(args.repository_url === undefined ? {} : { repository_url: args.repository_url }),
    ...(args.git_branch === undefined ? {} : { git_branch: args.git_branch }),
    uncommitted: false,
    ...(plan.finish || args.finish ? { finish: plan.finish ?? args.finish } : {}),
    ...(args.confirm === undefined ? {} : { confirm: args.confirm }),
  };
}

/** Whether it ends with pull requests the person has said, or their settings. */
function withoutFinish({ finish: _finish, ...plan }: Plan): Plan {
  return plan;
}

/** Where the API lets branches begin at others, all of a plan's do so. */
function beginsAtBranch({ settings, capabilities }: Services): boolean {
  return settings.engine === "local" || capabilities.state().description?.start.takesFrom === true;
}

function createPlanTask(
  args: StartPlanArguments,
  { plan, missing, given, inputs }: ReadPlan,
  foreseen: DryRun,
  suggestName: Task["suggestName"],
  beginsAtBranch: boolean,
): Task {
  const questions = askForInputs(plan.inputs, missing, Object.keys(given));
  const name = cleanLine(ownName(plan) ?? args.session_name ?? "", 60) || "of this chat";
  // What it takes comes first: clients show the beginning of a form's message only.
  const takes = `Begin the plan ${name}: ${tellCost(foreseen, plan)}.`;
  return {
    title: () =>
      [takes, cleanLine(plan.description ?? "", ABOUT_CHARS), tellInputs(inputs, Object.keys(given))]
        .filter(Boolean)
        .join("\n"),
    suggestName,
    more: questions,
    names: "plan",
    beginsAtBranch,
    startAgain(changed, reason) {
      const entered = changed as Record<string, string | undefined>;
      const { session_name, repository_url, git_branch } = entered;
      return again(
        args,
        {
          inputs: { ...given, ...readInputs(plan.inputs, entered) },
          session_name,
          repository_url,
          git_branch,
        },
        reason,
      );
    },
    giveFeedback: (runId, reason) => ({ action: "status", arguments: { run_id: runId }, reason }),
  };
}

/** The same call with what was settled. */
function again(
  { plan, steps, limits, wait_seconds, issue }: StartPlanArguments,
  settled: {
    inputs: Record<string, unknown>;
    session_name?: string | undefined;
    repository_url?: string | undefined;
    git_branch?: string | undefined;
  },
  reason: string,
): NextStep {
  const { inputs, ...place } = settled;
  const repeated = (text: string | undefined) =>
    text !== undefined && text.length > REPEATED_LIMIT ? "(the same as before, in full)" : text;
  const all = {
    plan: repeated(plan),
    steps: repeated(steps),
    limits,
    ...place,
    wait_seconds,
    issue,
    ...(Object.keys(inputs).length > 0 ? { inputs: JSON.stringify(inputs) } : {}),
  };
  const known = Object.entries(all).filter(([, value]) => value !== undefined);
  return { action: "plan", arguments: Object.fromEntries(known), reason };
}

/** The plan with what the person has entered. @throws ActionError when that does not pass */
async function complete(
  read: ReadPlan,
  entered: Record<string, string>,
  plans: Plans,
  call: Call,
): Promise<ReadPlan | Answer> {
  if (Object.keys(entered).length === 0) return read;
  const given = { ...read.given, ...entered };
  const options = { inputs: given, name: read.template?.name, chosen: read.asked };
  const found = await checkAsking(plans, read.source, options, call);
  if ("outcome" in found) return found;
  return { ...read, ...requireSound(found.checked, "What was entered"), given, asked: found.chosen };
}

function foresee({ plan, inputs }: ReadPlan, plans: Plans, repositoryUrl?: string): Promise<DryRun> {
  return telling(NOTHING, () => plans.foresee(plan, inputs, repositoryUrl || undefined));
}

async function followNamesake(name: string, plans: Plans): Promise<Begun> {
  const sight = await telling(NOTHING, () => plans.find(name));
  if (!sight)
    throw new ActionError(`The plan "${cleanLine(name, 60)}" has ended meanwhile. ${NOTHING} Call again.`);
  return {
    sight,
    first: `Nothing new was begun: this is the plan ${cleanLine(name, 60)} that goes on.`,
    isNew: false,
  };
}

/** Remembers what the person has just agreed to. @returns a sentence when that cannot be kept */
async function keepTrust(template: FoundTemplate | undefined, { templates }: Services): Promise<string> {
  if (!template || template.isTrusted) return "";
  try {
    await templates.trust(template);
    return "";
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return error.message;
  }
}
