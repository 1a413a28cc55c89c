/** What a change of members does to the cluster, worked out before it is made. Pure. */

const isVoter = (node) => node.role !== 'LEARNER';
/** A paused node refuses clients but goes on voting. */
const isLive = (node) => (node.status === 'ACTIVE' || node.status === 'PAUSED') && !node.silent_ms;

function figures(voters, live) {
  const quorum = Math.floor(voters / 2) + 1;
  // How many more live voters may fail before writes stop.
  return { voters, live, quorum, tolerates: Math.max(0, live - quorum) };
}

/** Voters, live voters, quorum and failures tolerated of these nodes. */
function figuresOf(nodes) {
  const voters = nodes.filter(isVoter);
  return figures(voters.length, voters.filter(isLive).length);
}

/** Figures `{before, after}` of `action` ('add' | 'remove' | 'stop') on `node`. */
export function impact(nodes, action, node) {
  const before = figuresOf(nodes);
  const { voters, live } = before;
  if (action === 'add') return { before, after: figures(voters + 1, live + 1) };
  if (!isVoter(node)) return { before, after: before };
  return { before, after: figures(action === 'stop' ? voters : voters - 1, isLive(node) ? live - 1 : live) };
}

/** What to say about the figures after the change: `{tone, text}`. */
export function verdict({ live, quorum, tolerates }) {
  if (live < quorum) {
    const text = `Only ${live} of the ${quorum} needed voters would be live: writes would stop.`;
    return { tone: 'bad', text };
  }
  if (tolerates === 0) {
    return { tone: 'warn', text: 'The cluster would keep working, but one more failure would stop writes.' };
  }
  const failures = tolerates === 1 ? '1 failure' : `${tolerates} failures`;
  return { tone: 'good', text: `The cluster would still tolerate ${failures}.` };
}
