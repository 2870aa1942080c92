import { type Api, page, person } from "../api";
import { api } from "../browser";
import type { Page, Role, User } from "../resources";
import type {
  AuditEntry,
  EdgeDeployment,
  EdgeMetrics,
  EdgeNode,
  PathPatternKind,
  Prewarm,
  PrewarmWish,
  Purge,
  PurgeKind,
  Report,
  ReportState,
  Usage,
  UsageBy,
} from "./resources";

/** The operations of moderators and administrators. */
export class AdminApi {
  constructor(private readonly api: Pick<Api, "ask">) {}

  // Moderation

  reports(state: ReportState, after: string | null): Promise<Page<Report>> {
    return this.api.ask("GET", page(`reports?state=${state}`, after));
  }

  resolveReport(id: string, resolution: string): Promise<Report> {
    return this.api.ask("POST", `reports/${encodeURIComponent(id)}/resolve`, { json: { resolution } });
  }

  suspend(name: string, reason: string): Promise<User> {
    return this.api.ask("PUT", `${person(name)}/suspension`, { json: { reason } });
  }

  unsuspend(name: string): Promise<User> {
    return this.api.ask("DELETE", `${person(name)}/suspension`);
  }

  setRole(name: string, role: Role): Promise<User> {
    return this.api.ask("PUT", `${person(name)}/role`, { json: { role } });
  }

  /** @param actor who did it, and `subject` to whom; empty: anybody. */
  auditLog(actor: string, subject: string, after: string | null): Promise<Page<AuditEntry>> {
    const filter = new URLSearchParams();
    if (actor !== "") filter.set("actor", actor);
    if (subject !== "") filter.set("subject", subject);
    const query = filter.toString();
    return this.api.ask("GET", page(query === "" ? "audit-log" : `audit-log?${query}`, after));
  }

  // Caches

  nodes(after: string | null): Promise<Page<EdgeNode>> {
    return this.api.ask("GET", page("cdn/nodes", after));
  }

  deployment(): Promise<EdgeDeployment> {
    return this.api.ask("GET", "cdn/deployment");
  }

  metrics(): Promise<EdgeMetrics> {
    return this.api.ask("GET", "cdn/metrics");
  }

  purge(kind: PurgeKind, subject: string, soft: boolean): Promise<Purge> {
    const json = { kind, subject, soft, wait_seconds: 0 };
    return this.api.ask("POST", "cdn/purges", { json });
  }

  purgePaths(kind: PathPatternKind, pattern: string, soft: boolean): Promise<Purge> {
    const json = { kind, pattern, soft, wait_seconds: 0 };
    return this.api.ask("POST", "cdn/purges/by-pattern", { json });
  }

  purgeStatus(id: string): Promise<Purge> {
    return this.api.ask("GET", `cdn/purges/${encodeURIComponent(id)}`);
  }

  prewarm(wish: PrewarmWish): Promise<Prewarm> {
    return this.api.ask("POST", "cdn/prewarms", { json: wish });
  }

  prewarmStatus(id: string): Promise<Prewarm> {
    return this.api.ask("GET", `cdn/prewarms/${encodeURIComponent(id)}`);
  }

  cancelPrewarm(id: string): Promise<Prewarm> {
    return this.api.ask("DELETE", `cdn/prewarms/${encodeURIComponent(id)}`);
  }

  /** @param from seconds since 1970, as `to`. */
  usage(by: UsageBy, from: number, to: number, seconds: number, after: string | null): Promise<Page<Usage>> {
    const query = new URLSearchParams({ by, from: String(from), to: String(to) });
    if (by === "time") query.set("seconds", String(seconds));
    return this.api.ask("GET", page(`cdn/usage?${query}`, after));
  }
}

export const admin = new AdminApi(api);
