/** How a heartbeat link is protected (docs/security.md). */
export const LINK_PROTECTIONS = ['none', 'secret', 'certificate'] as const;

/** By what each end has proven who it is, over TLS; none: a plain TCP connection. */
export type LinkProtection = (typeof LINK_PROTECTIONS)[number];
