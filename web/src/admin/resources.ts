// What the operations of moderators and administrators give and take, as `/openapi.json` has it.
import type { Image, PostStream, PostVideo, ReportReason } from "../resources";

export type ReportState = "open" | "resolved";

/** A post that is reported, whoever may see it. */
export interface ReportedPost {
  readonly id: string;
  readonly text: string;
  readonly images: readonly Image[];
  readonly video: PostVideo | null;
  readonly stream: PostStream | null;
  readonly is_deleted: boolean;
}

/** What somebody says about somebody to the moderators. */
export interface Report {
  readonly id: string;
  /** Empty: gone. */
  readonly user: string;
  /** `null`: gone, or not told. */
  readonly reporter: string | null;
  readonly post: ReportedPost | null;
  readonly reason: ReportReason;
  readonly comment: string;
  readonly created_at: string;
  /** `null`: nobody has said what came of it. */
  readonly resolved_at: string | null;
  readonly resolution: string | null;
}

/** What somebody did by right of a role. */
export interface AuditEntry {
  readonly id: string;
  /** `null`: the server, or somebody who is gone. */
  readonly actor: string | null;
  readonly action: string;
  readonly subject_kind: string;
  readonly subject_id: string;
  /** JSON. */
  readonly detail: string;
  readonly created_at: string;
}

/** A cache: where it is, and how it is. */
export interface EdgeNode {
  readonly id: string;
  readonly roles: readonly string[];
  /** Empty: not known. */
  readonly url: string;
  readonly region: string;
  readonly version: string;
  /** Whether purges wait for it. */
  readonly is_live: boolean;
  /** What is wrong with it; empty: nothing. */
  readonly health: string;
  readonly started_at: string;
  readonly heartbeat_at: string;
  readonly connections: number;
  readonly requests: number;
  readonly requests_per_second: number;
  readonly memory_bytes: number;
  readonly configuration: number;
}

export interface EdgeDeployment {
  /** The generation that all nodes should have. */
  readonly configuration: number;
  readonly is_complete: boolean;
  readonly nodes: number;
  readonly behind: readonly { readonly node: string; readonly configuration: number }[];
}

/** What all nodes that are live do together. */
export interface EdgeMetrics {
  readonly nodes: number;
  readonly unwell: number;
  readonly connections: number;
  readonly requests: number;
  readonly requests_per_second: number;
  readonly memory_bytes: number;
}

export type PurgeKind = "url" | "stream" | "video" | "tag" | "everything";
export type PathPatternKind = "prefix" | "pattern";

/** A purge, and how far it is. */
export interface Purge {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly soft: boolean;
  readonly requested_at: string;
  readonly is_complete: boolean;
  readonly completed_at: string | null;
  readonly obeyed: number;
  readonly awaited: number;
  readonly away: number;
  readonly awaited_nodes: readonly string[] | null;
}

export interface PrewarmWish {
  readonly urls?: readonly string[];
  readonly video?: string;
  readonly playlist?: string;
  /** Segments of each rendition. */
  readonly depth?: number;
}

export type PrewarmState = "waiting" | "running" | "done" | "failed" | "cancelled";

interface Progress {
  readonly state: PrewarmState;
  /** Objects that are known of, those that are stored, and those that cannot be. */
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly bytes: number;
}

export interface PrewarmNode extends Progress {
  readonly node: string;
  readonly is_live: boolean;
  readonly errors: readonly string[];
}

/** A prewarm, and how far it is on all its nodes together. */
export interface Prewarm extends Progress {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly urls: number;
  readonly requested_at: string;
  readonly nodes: readonly PrewarmNode[] | null;
}

export type UsageBy = "time" | "subject" | "owner";

/** What was served in a stretch of time, of a subject, or of an owner. */
export interface Usage {
  readonly start: string | null;
  readonly subject: "stream" | "video" | "other" | null;
  readonly id: string | null;
  readonly name: string | null;
  readonly owner: string | null;
  readonly requests: number;
  readonly hits: number;
  readonly errors: number;
  readonly bytes: number;
  readonly origin_bytes: number;
  readonly most_viewers: number;
  readonly minutes_watched: number;
}
