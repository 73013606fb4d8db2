/** What is used of the library, by name: a bundle gives what is loaded on demand from such a package no names. */
export { isAlias, isCollection, isMap, isScalar, Lexer, LineCounter, parseDocument, visit } from "yaml";
