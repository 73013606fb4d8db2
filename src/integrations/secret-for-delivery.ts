import type { SecretName, Secrets } from "../settings/secrets.js";
import { NotNow } from "./delivery-error.js";

/**
 * A secret that a delivery needs. One that cannot be had now may be there later: a command may have wanted a person.
 * @throws NotNow
 */
export async function secretForDelivery(secrets: Secrets, name: SecretName): Promise<string> {
  try {
    return await secrets.read(name);
  } catch (error) {
    throw new NotNow((error as Error).message);
  }
}
