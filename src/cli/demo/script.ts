import type { Script } from "../../../mocks/types.js";

/** What the person asks for. */
export const TASK = "Design the JWT login for my app";
/** What the person adds while the agent is at work. */
export const FEEDBACK = "Make sure to include refresh token rotation";
/** The turn at which the feedback is given: far from both ends, so that the run goes visibly on. */
export const FEEDBACK_TURN = 5;

const ACTIONS = [
  "Reading the request and the existing code",
  "Listing what a login must withstand",
  "Designing database schema",
  "Choosing the signing algorithm and key handling",
  "Designing access and refresh tokens",
  "Specifying the login and refresh endpoints",
  "Planning revocation and logout",
  "Checking the design against known attacks",
  "Splitting the work into tasks",
  "Writing the design document",
];

/** The turn limit that the demo's call sets: as many turns as the script has. */
export const MAX_TURNS = ACTIONS.length;

const RESULT = `JWT login: the design, in docs/auth-design.md

Tables     users (id, email, password_hash)
           refresh_tokens (id, user_id, family_id, token_hash, expires_at,
           used_at, revoked_at); only hashes are stored.
Tokens     Access: JWT, ES256, 15 minutes, claims sub, jti, scope.
           Refresh: 256 random bits, 30 days, HttpOnly cookie, SameSite=Strict.
Rotation   Every refresh gives a new token and marks the old one used.
           A used token that comes back revokes its whole family.
Endpoints  POST /auth/login, POST /auth/refresh, POST /auth/logout,
           GET /.well-known/jwks.json
Limits     5 failed logins in 15 minutes, for an account and an address.
Tasks      1 migration, 2 token service, 3 endpoints, 4 middleware, 5 tests`;

/**
 * How the simulated agent goes about the demo's task.
 * @param paceMs how long a turn takes, in ms
 */
export function createScript(paceMs: number): Script {
  return {
    actions: ACTIONS,
    paceMs,
    result: RESULT,
    costUsd: 0.4218,
    toolsUsed: ["Read", "Grep", "Write"],
    filesChanged: ["docs/auth-design.md"],
  };
}

/** The parts that the plan builds at the same time. */
export const PARTS = ["the token service", "the endpoints"];

/** What the person has built from the design: split by an agent, approved at a gate, built in parallel. */
export const PLAN = {
  name: "jwt-login",
  inputs: { parts: { type: "list", required: true } },
  limits: { parallel: 2, runs: 5, cost_usd: 5 },
  steps: [
    { id: "split", run: "architect", task: "Say where the design can be split" },
    { id: "ok", gate: "Build these parts?", needs: ["split"], show: "${steps.split.result}" },
    { id: "build", run: "implement", needs: ["ok"], task: "Build ${item}", for_each: "${inputs.parts}" },
  ],
};

/**
 * How the simulated agents go about the plan's steps.
 * @param paceMs how long a turn takes, in ms
 */
export function createPartScript(workflowName: string, paceMs: number): Script {
  if (workflowName === "architect")
    return {
      actions: ["Reading the design", "Looking for where it can be split"],
      paceMs,
      result: "The token service and the endpoints need each other's names only: both can be built at once.",
      costUsd: 0.0731,
    };
  return {
    actions: [
      "Reading the design",
      "Writing the tests",
      "Writing the code",
      "Running the tests",
      "Committing",
    ],
    paceMs,
    result: "Built, with tests.",
    costUsd: 0.2604,
  };
}
