// biome-ignore-all lint/a11y/useSemanticElements: rows are positioned one by one; a <table> cannot do that
// biome-ignore-all lint/a11y/useFocusableInteractive: the page moves the selection by keys, not the focus
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type ReactNode, useEffect, useLayoutEffect, useRef } from "react";
import type { StudyRow } from "../../dicomweb/studies";
import type { Column } from "./columns";

const ROW_HEIGHT = 40;

interface Props {
	columns: Column[];
	rows: StudyRow[];
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
	const template = { gridTemplateColumns: columns.map((column) => column.width).join(" ") };
	return (
		<div
			className="table"
			role="grid"
			aria-label="Studies"
			aria-rowcount={rows.length}
			style={{ "--columns": template.gridTemplateColumns } as React.CSSProperties}
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

function Head({ columns, sort, onSort }: Props) {
	const descending = sort.startsWith("-");
	const key = sort.replace("-", "");
	return (
		<div className="table-row head-row" role="row">
			{columns.map((column) => {
				const active = column.sort !== undefined && column.sort === key;
				const order = active ? (descending ? "descending" : "ascending") : "none";
				return (
					<div key={column.id} className="cell" role="columnheader" aria-sort={order}>
						{column.sort ? (
							<button
								type="button"
								className="head-button"
								onClick={() => onSort(active && !descending ? `-${key}` : `${column.sort}`)}
							>
								{column.title}
								{active &&
									(descending ? (
										<ArrowDown size={12} aria-hidden="true" />
									) : (
										<ArrowUp size={12} aria-hidden="true" />
									))}
							</button>
						) : (
							column.title
						)}
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
	selected,
	onSelect,
	onOpen,
}: Props & { row: StudyRow; top: number }) {
	const uid = row.StudyInstanceUID;
	return (
		// biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled for the whole page
		<div
			className="table-row study-row"
			role="row"
			tabIndex={-1}
			aria-selected={selected === uid}
			data-uid={uid}
			style={{ transform: `translateY(${top}px)` }}
			onClick={() => onSelect(uid)}
			onDoubleClick={(event) => onOpen(uid, event.shiftKey)}
		>
			{columns.map((column) => (
				<div key={column.id} className="cell" role="gridcell" data-column={column.id}>
					{column.cell(row)}
				</div>
			))}
		</div>
	);
}
