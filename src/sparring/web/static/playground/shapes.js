// Shapes that both kinds of pictures draw.

/** Add an arrow to a path; one too short to see is left out. */
export function arrow(c, x, y, dx, dy, head = 3.5) {
  const length = Math.hypot(dx, dy);
  if (length < 1.5) return;
  const [ux, uy] = [dx / length, dy / length];
  c.moveTo(x, y);
  c.lineTo(x + dx, y + dy);
  c.moveTo(x + dx - head * (ux - 0.55 * uy), y + dy - head * (uy + 0.55 * ux));
  c.lineTo(x + dx, y + dy);
  c.lineTo(x + dx - head * (ux + 0.55 * uy), y + dy - head * (uy - 0.55 * ux));
}
