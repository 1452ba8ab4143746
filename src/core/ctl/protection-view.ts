/** How heartbeat links are protected, in words for people. */
import { judgeValidity } from '../config/validity.js';
import type { CertificateStatus, StatusReport } from '../control/protocol.js';
import { LINK_PROTECTIONS, type LinkProtection } from '../link/protection.js';
import { formatUtc } from '../messages/format.js';
import { count } from './amounts.js';
import type { Cell } from './table.js';

/** Of one link that is up. */
export function protectionWords(protection: LinkProtection | null | undefined): string {
  switch (protection) {
    case 'none':
      return 'not protected';
    case 'secret':
    case 'certificate':
      return `protected by a ${protection}`;
    default:
      return '';
  }
}

/** The line of `cm_ctl status`; none while no link is up and no certificate is named. */
export function protectionFacts(
  report: Pick<StatusReport, 'instances' | 'certificates' | 'now'>,
): [string, Cell][] {
  const kinds = LINK_PROTECTIONS.map((kind) => ({
    kind,
    numbers: report.instances.filter(({ link }) => link.protection === kind).map(({ number }) => number),
  })).filter(({ numbers }) => numbers.length > 0);
  const isMixed = kinds.length > 1;
  const words = kinds.map(({ kind, numbers }) =>
    isMixed ? `${kind} (${numbers.length === 1 ? 'instance' : 'instances'} ${numbers.join(', ')})` : kind,
  );
  const expiry = expiryWords(report);
  const lines = [...(words.length === 0 ? [] : [words.join(', ')]), ...expiry];
  if (lines.length === 0) return [];
  const style = expiry.length > 0 || isMixed ? 'warning' : undefined;
  return [['Protection', { text: lines.join('\n'), style }]];
}

/** What is to be said of certificates, a line each. */
function expiryWords({ certificates = [], now }: Pick<StatusReport, 'certificates' | 'now'>): string[] {
  return certificates.flatMap((certificate) => {
    const words = judgement(certificate, now);
    return words === '' ? [] : [`certificate of ${certificate.parameter} ${words}`];
  });
}

function judgement({ validFrom, validTo }: CertificateStatus, now: number): string {
  const finding = judgeValidity({ fromMs: validFrom, toMs: validTo }, now);
  switch (finding?.is) {
    case undefined:
      return '';
    case 'expired':
      return 'has expired';
    case 'expiring':
      return `expires in ${count(finding.days, 'day')}`;
    case 'notYetValid':
      return 'is not valid yet';
  }
}

/** The lines of a status page, one for each certificate. */
export function certificateFacts({
  certificates = [],
  now,
}: {
  readonly certificates?: readonly CertificateStatus[];
  readonly now: number;
}): [string, string][] {
  return certificates.map((certificate) => {
    const words = judgement(certificate, now) || `good until ${formatUtc(certificate.validTo).slice(0, 10)}`;
    return [certificate.parameter, words];
  });
}
