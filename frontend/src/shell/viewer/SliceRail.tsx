import { useEffect, useRef, useSyncExternalStore } from "react";
import type { StackView } from "../../viewport/stack-view";
import type { ViewState } from "../../viewport/view-state";
import { useSession } from "./session-context";

/** Position in the stack and which images are here; drag to move. */
export function SliceRail({ view, state }: { view: StackView; state: ViewState }) {
	const { imaging } = useSession();
	const version = useSyncExternalStore(
		imaging?.subscribeStatus ?? (() => () => {}),
		imaging?.statusVersion ?? (() => 0),
	);
	const measured = useSyncExternalStore(
		imaging?.subscribeMeasurements ?? (() => () => {}),
		imaging?.measurements ?? (() => undefined),
	);
	const canvas = useRef<HTMLCanvasElement>(null);
	const frames = state.displaySet?.frames;
	const count = frames?.length ?? 0;
	// biome-ignore lint/correctness/useExhaustiveDependencies: version stands for the images' statuses
	useEffect(() => {
		const context = canvas.current?.getContext("2d");
		if (!context || !imaging || !frames) return;
		const { width, height } = context.canvas;
		const style = getComputedStyle(context.canvas);
		const colors = {
			cached: style.getPropertyValue("--rail-cached"),
			failed: style.getPropertyValue("--danger"),
			absent: "transparent",
		};
		context.clearRect(0, 0, width, height);
		const ids = view.frameImageIds();
		for (let row = 0; row < height; row += 1) {
			const from = Math.floor((row * count) / height);
			const to = Math.max(from + 1, Math.floor(((row + 1) * count) / height));
			const statuses = ids.slice(from, to).map((id) => imaging.statusOf(id));
			const worst = statuses.includes("failed")
				? "failed"
				: statuses.includes("absent")
					? "absent"
					: "cached";
			context.fillStyle = colors[worst];
			context.fillRect(0, row, width, 1);
		}
		const marked = new Set(measured?.map((each) => `${each.sopInstanceUID}/${each.frameNumber}`));
		context.fillStyle = style.getPropertyValue("--rail-mark");
		frames.forEach((frame, index) => {
			if (!marked.has(`${frame.sopInstanceUID}/${frame.frameNumber}`)) return;
			context.fillRect(0, Math.floor(((index + 0.5) * height) / count) - 1, width, 2);
		});
	}, [imaging, view, frames, count, version, measured]);
	const move = (event: React.PointerEvent<HTMLDivElement>) => {
		const box = event.currentTarget.getBoundingClientRect();
		const share = (event.clientY - box.top) / box.height;
		view.goTo(Math.floor(Math.min(0.9999, Math.max(0, share)) * count));
	};
	return (
		<div
			className="rail"
			role="slider"
			tabIndex={-1}
			aria-label="Image"
			aria-valuemin={1}
			aria-valuemax={count}
			aria-valuenow={state.requested + 1}
			onDoubleClick={(event) => event.stopPropagation()}
			onPointerDown={(event) => {
				event.currentTarget.setPointerCapture(event.pointerId);
				move(event);
			}}
			onPointerMove={(event) => {
				if (event.buttons === 1) move(event);
			}}
		>
			<canvas ref={canvas} width={4} height={256} />
			<span className="rail-thumb" style={{ top: `${((state.requested + 0.5) / count) * 100}%` }} />
		</div>
	);
}
