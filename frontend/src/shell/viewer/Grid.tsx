import { useEffect, useRef } from "react";
import { Pane } from "./Pane";
import { useSession, useViewer } from "./session-context";

/** The viewports; those hidden by a maximised one keep what they show. */
export function Grid() {
	const session = useSession();
	const { layout, panes, active, maximised } = useViewer();
	const place = useRef<HTMLElement>(null);
	useEffect(() => {
		const element = place.current;
		if (!element) return;
		let scheduled = 0;
		const observer = new ResizeObserver(() => {
			cancelAnimationFrame(scheduled);
			scheduled = requestAnimationFrame(() => session.imaging?.resizeViewports());
		});
		observer.observe(element);
		return () => {
			cancelAnimationFrame(scheduled);
			observer.disconnect();
		};
	}, [session]);
	// Another number of cells changes every viewport's size without changing the grid's own.
	useEffect(() => {
		const scheduled = requestAnimationFrame(() => session.imaging?.resizeViewports());
		return () => cancelAnimationFrame(scheduled);
	});
	const { rows, columns } = maximised ? { rows: 1, columns: 1 } : layout;
	return (
		<main
			className="grid"
			ref={place}
			style={{
				gridTemplateRows: `repeat(${rows}, minmax(0, 1fr))`,
				gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`,
			}}
		>
			{panes.map((id, index) => (
				// biome-ignore lint/suspicious/noArrayIndexKey: a viewport is its place in the grid
				<Pane key={index} index={index} displaySetId={id} hidden={maximised && index !== active} />
			))}
		</main>
	);
}
