/** How much of what was to be told a service was told, in the last 90 days. */
export interface ServiceCounts {
  /** As a person calls it. */
  service: string;
  sent: number;
  /** Whether it has arrived is not known. */
  unknown: number;
  failed: number;
  /** Still to be told. */
  waiting: number;
}

/** Something of which it is not known whether it has arrived, or that has not. */
export interface DeliveryRow {
  service: string;
  state: "unknown" | "failed";
  /** What it was, on one line: words of others may be in it. */
  what: string;
  /** Why, on one line. */
  why?: string;
  /** Since when that is known, epoch ms. */
  at: number;
  /** What it is about. */
  runId?: string;
  planId?: string;
}

/** `GET /dashboard/api/deliveries`: what was told elsewhere. All is empty where nothing was, or it is not for who looks. */
export interface DeliveriesView {
  services: ServiceCounts[];
  /** The last ones that are not known or failed, the newest first. */
  rows: DeliveryRow[];
  /** How many older ones are left out. */
  left: number;
}
