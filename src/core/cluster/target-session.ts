/**
 * target_session_attrs: names, meaning, and the choice of instances that fit.
 *
 * Meaning as libpq defines it (PostgreSQL documentation, 34.1.2 Parameter Key Words); pgjdbc's
 * targetServerType names are synonyms, its `primary` being what libpq calls read-write.
 */
import { hasAttribute } from '../protocol/attributes.js';

/** The canonical names, as libpq spells them. */
export const TARGETS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type TargetSessionAttrs = (typeof TARGETS)[number];

/** pgjdbc's spellings, lower case. Its `primary` stands above: for libpq that means "not in recovery". */
export const TARGET_SYNONYMS: Readonly<Record<string, TargetSessionAttrs>> = {
  secondary: 'standby',
  prefersecondary: 'prefer-standby',
};

/** Spellings of pgjdbc that have no meaning here, and why. */
export const TARGET_REFUSALS: Readonly<Record<string, string>> = {
  preferprimary: '"preferPrimary" is not supported with a connection manager',
};

/** The canonical name, or why there is none (a sentence for DETAIL). Letter case does not matter. */
export function parseTarget(
  text: string,
): { readonly target: TargetSessionAttrs } | { readonly refusal: string } {
  const word = text.toLowerCase();
  // Words come from the network: only what the tables themselves hold counts, not what objects inherit.
  const target = TARGETS.find((name) => name === word) ?? own(TARGET_SYNONYMS, word);
  if (target !== undefined) return { target };
  const refusal = own(TARGET_REFUSALS, word);
  if (refusal !== undefined) return { refusal: `${refusal}.` };
  return { refusal: `Known values are ${TARGETS.join(', ')} (and secondary, preferSecondary).` };
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** Whether a target asks for the one instance that takes writes. */
export function isWriterTarget(target: TargetSessionAttrs): boolean {
  return target === 'primary' || target === 'read-write';
}

/** Whether attribute bits satisfy a target, by libpq's definition; prefer-standby and any take every role. */
export function fitsTarget(bits: number, target: TargetSessionAttrs): boolean {
  const primary = hasAttribute(bits, 'primary');
  const standby = hasAttribute(bits, 'standby');
  const readOnly =
    standby || hasAttribute(bits, 'readOnlyByRecovery') || hasAttribute(bits, 'readOnlyByDefault');
  switch (target) {
    case 'any':
    case 'prefer-standby':
      return primary || standby;
    case 'read-write':
      return primary && !readOnly;
    case 'read-only':
      return (primary || standby) && readOnly;
    case 'primary':
      return primary;
    case 'standby':
      return standby;
  }
}
