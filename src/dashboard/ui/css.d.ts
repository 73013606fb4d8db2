/** Style sheets go into the page's own; nothing is imported from them. */
declare module "*.css";
