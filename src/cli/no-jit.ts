import { config } from "zod";

// To compile a schema costs more than to walk it a few times, which is all that a start does.
config({ jitless: true });
