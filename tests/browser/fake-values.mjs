// What the fake API makes up.
import { randomBytes } from "node:crypto";

export const secret = () => randomBytes(32).toString("base64url");
export const now = () => new Date().toISOString();
