/** What of YAML's library a template is written with: from here on demand, so that the bundle has no more of it. */
export { Document } from "yaml";
