/** What a change of members does to the cluster, worked out before it is made. Pure. */

export const quorumOf = (voters) => Math.floor(voters / 2) + 1;

const figures = (voters, live) => ({
  voters,
  live,
  quorum: quorumOf(voters),
  // How many more live voters may fail before writes stop.
  tolerates: Math.max(0, live - quorumOf(voters)),
});

/** A paused node refuses clients but goes on voting. */
const isLive = (node) => node.status === 'ACTIVE' || node.status === 'PAUSED';

/** Figures `{before, after}` of `action` ('add' | 'remove' | 'stop') on `node`. */
export function impact(nodes, action, node) {
  const isVoter = (n) => n.role !== 'LEARNER';
  const voters = nodes.filter(isVoter).length;
  const live = nodes.filter((n) => isVoter(n) && isLive(n)).length;
  const counts = node ? isVoter(node) : true;
  const step = counts ? (action === 'add' ? 1 : -1) : 0;
  const liveStep = action === 'add' || isLive(node) ? step : 0;
  return {
    before: figures(voters, live),
    after: figures(action === 'stop' ? voters : voters + step, live + liveStep),
  };
}

/** What to say about the figures after the change: `{tone, text}`. */
export function verdict({ live, quorum, tolerates }) {
  if (live < quorum) {
    return { tone: 'bad', text: `Only ${live} of the ${quorum} needed voters would be live: the cluster would stop accepting writes.` };
  }
  if (tolerates === 0) {
    return { tone: 'warn', text: 'The cluster would keep working, but one more failure would stop writes.' };
  }
  const failures = tolerates === 1 ? '1 failure' : `${tolerates} failures`;
  return { tone: 'good', text: `The cluster would still tolerate ${failures}.` };
}
