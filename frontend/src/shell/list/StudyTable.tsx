// biome-ignore-all lint/a11y/useSemanticElements: rows are positioned one by one; a <table> cannot do that
// biome-ignore-all lint/a11y/useFocusableInteractive: the page moves the selection by keys, not the focus
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { StudyRow } from "../../dicomweb/studies";
import { moved } from "./ColumnMenu";
import { type Column, trackOf } from "./columns";

const touch = window.matchMedia("(pointer: coarse)").matches;
const ROW_HEIGHT = touch ? 48 : 40;
const SIDES = 16;

interface Props {
	columns: Column[];
	onColumns: (ids: string[]) => void;
	rows: StudyRow[];
	/** Studies that were deleted while the pointer is over the list. */
	gone: ReadonlySet<string>;
	sort: string;
	onSort: (sort: string) => void;
	selected: string | null;
	onSelect: (uid: string) => void;
	onOpen: (uid: string, newWindow: boolean) => void;
	onEnd: () => void;
	onPointerInside: (inside: boolean) => void;
	filters: ReactNode;
	children?: ReactNode;
}

/** The list: only the rows on screen exist, the head with its filters stays. */
export function StudyTable(props: Props) {
	const { columns, rows, selected, onEnd } = props;
	const scroller = useRef<HTMLDivElement>(null);
	const virtualizer = useVirtualizer({
		count: rows.length,
		getScrollElement: () => scroller.current,
		estimateSize: () => ROW_HEIGHT,
		overscan: 12,
		getItemKey: (index) => rows[index]?.StudyInstanceUID ?? index,
	});
	useSteadyScroll(scroller, rows);
	const items = virtualizer.getVirtualItems();
	const last = items.at(-1)?.index ?? 0;
	useEffect(() => {
		if (rows.length > 0 && last >= rows.length - 20) onEnd();
	}, [last, rows.length, onEnd]);
	const toSelected = useRef(() => {});
	toSelected.current = () => {
		const index = rows.findIndex((row) => row.StudyInstanceUID === selected);
		if (index >= 0) virtualizer.scrollToIndex(index, { align: "auto" });
	};
	// Only a change of selection scrolls; rows that change around it do not.
	useEffect(() => {
		if (selected !== null) toSelected.current();
	}, [selected]);
	const style = {
		"--columns": columns.map(trackOf).join(" "),
		"--least": `${columns.reduce((sum, column) => sum + column.min, SIDES)}px`,
		"--row-height": `${ROW_HEIGHT}px`,
	} as React.CSSProperties;
	return (
		<div
			className="table"
			role="grid"
			aria-label="Studies"
			aria-rowcount={rows.length}
			aria-multiselectable="false"
			style={style}
		>
			<div className="table-head">
				<Head {...props} />
				{props.filters}
			</div>
			<div
				className="table-body"
				ref={scroller}
				onPointerEnter={() => props.onPointerInside(true)}
				onPointerLeave={() => props.onPointerInside(false)}
			>
				<div style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
					{items.map((item) => {
						const row = rows[item.index];
						return row ? <Row key={item.key} row={row} top={item.start} {...props} /> : null;
					})}
				</div>
				{props.children}
			</div>
		</div>
	);
}

/** Rows that enter above what is on screen push the scroll position, not the rows. */
function useSteadyScroll(scroller: React.RefObject<HTMLDivElement | null>, rows: StudyRow[]) {
	const before = useRef<StudyRow[]>([]);
	useLayoutEffect(() => {
		const element = scroller.current;
		if (element && element.scrollTop > ROW_HEIGHT && before.current.length > 0) {
			const topIndex = Math.floor(element.scrollTop / ROW_HEIGHT);
			const anchor = before.current[topIndex]?.StudyInstanceUID;
			const now = rows.findIndex((row) => row.StudyInstanceUID === anchor);
			if (now > topIndex) element.scrollTop += (now - topIndex) * ROW_HEIGHT;
		}
		before.current = rows;
	}, [rows, scroller]);
}

/** Titles: a click sorts, dragging one onto another puts it there. */
function Head({ columns, onColumns, sort, onSort }: Props) {
	const [dragged, setDragged] = useState<string | null>(null);
	const [over, setOver] = useState<string | null>(null);
	const descending = sort.startsWith("-");
	const key = sort.replace("-", "");
	const ids = columns.map((column) => column.id);
	const drop = (target: string) => {
		if (dragged && dragged !== target) {
			onColumns(moved(ids, ids.indexOf(dragged), ids.indexOf(target)));
		}
		setDragged(null);
		setOver(null);
	};
	return (
		<div className="table-row head-row" role="row">
			{columns.map((column) => {
				const active = column.sort === key;
				const order = active ? (descending ? "descending" : "ascending") : "none";
				return (
					<div
						key={column.id}
						className="cell"
						role="columnheader"
						aria-sort={order}
						data-over={over === column.id && dragged !== column.id}
						draggable
						onDragStart={(event) => {
							event.dataTransfer.setData("text/plain", column.title);
							event.dataTransfer.effectAllowed = "move";
							setDragged(column.id);
						}}
						onDragOver={(event) => {
							if (!dragged) return;
							event.preventDefault();
							setOver(column.id);
						}}
						onDragEnd={() => {
							setDragged(null);
							setOver(null);
						}}
						onDrop={(event) => {
							event.preventDefault();
							drop(column.id);
						}}
					>
						<button
							type="button"
							className="head-button"
							title={`Sort by ${column.title.toLowerCase()}; drag to move the column`}
							onClick={() => onSort(active && !descending ? `-${key}` : column.sort)}
						>
							<span>{column.title}</span>
							{active &&
								(descending ? (
									<ArrowDown size={12} aria-hidden="true" />
								) : (
									<ArrowUp size={12} aria-hidden="true" />
								))}
						</button>
					</div>
				);
			})}
		</div>
	);
}

function Row({
	row,
	top,
	columns,
	gone,
	selected,
	onSelect,
	onOpen,
}: Props & { row: StudyRow; top: number }) {
	const uid = row.StudyInstanceUID;
	const deleted = gone.has(uid);
	return (
		// biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled for the whole page
		<div
			className="table-row study-row"
			role="row"
			tabIndex={-1}
			aria-selected={selected === uid}
			aria-disabled={deleted}
			data-uid={uid}
			data-state={row.state}
			title={deleted ? "This study was deleted" : undefined}
			style={{ transform: `translateY(${top}px)` }}
			onClick={() => (touch && selected === uid && !deleted ? onOpen(uid, false) : onSelect(uid))}
			onDoubleClick={(event) => !deleted && onOpen(uid, event.shiftKey)}
		>
			{columns.map((column) => (
				<div key={column.id} className="cell" role="gridcell" data-column={column.id}>
					{column.cell(row)}
				</div>
			))}
		</div>
	);
}
