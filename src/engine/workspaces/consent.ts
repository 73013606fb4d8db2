import * as z from "zod";

/**
 * A person's word that agents may work on copies of one repository of this machine: its top folder, and all folders
 * that it consists of, as they really are. It holds as long as the repository consists of nothing else.
 */
export const consentSchema = z.object({
  path: z.string().min(1).max(4096),
  folders: z.array(z.string().min(1).max(4096)).min(1).max(20),
});
export type Consent = z.infer<typeof consentSchema>;
