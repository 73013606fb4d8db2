import type { AppsManifestCreateArguments } from "@slack/web-api";

/**
 * The Slack app that each person makes for themselves: it posts where it is a member, and gets buttons over a socket, so
 * that nothing of it is reached from outside. The type check holds it against the type that Slack's own client has for it.
 */
export const SLACK_MANIFEST = {
  display_information: {
    name: "Automagik Workflows",
    description: "Asks you what runs and plans wait for, and takes your answers",
  },
  features: { bot_user: { display_name: "automagik-workflows", always_online: false } },
  oauth_config: { scopes: { bot: ["chat:write"] } },
  settings: {
    interactivity: { is_enabled: true },
    org_deploy_enabled: false,
    socket_mode_enabled: true,
    token_rotation_enabled: false,
  },
} satisfies AppsManifestCreateArguments["manifest"];
