import { config } from "zod";

// Compiling a schema costs more than interpreting it a few times, and a start does no more than that. From the sources
// it holds for every schema. In the bundle it holds for those that are made after the core has been loaded (arguments,
// answers, settings read later): the core is also the library's, and zod keeps this setting for the whole process, so
// in the core it would change the program that imports the library.
config({ jitless: true });
