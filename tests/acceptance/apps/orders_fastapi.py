"""Orders in SQLite, with the usual mistakes planted: a statement an order, a slow route, an unhandled exception."""

import os
import sqlite3
import time

from fastapi import FastAPI

ORDERS = 30
FILE = os.environ["ORDERS_FILE"]
app = FastAPI()

with sqlite3.connect(FILE) as made:
    made.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, note TEXT)")
    made.execute("CREATE TABLE IF NOT EXISTS items (order_id INTEGER, name TEXT)")
    made.executemany("INSERT INTO orders (note) VALUES (?)", [("canary-note",)] * ORDERS)
    made.executemany("INSERT INTO items VALUES (?, ?)", [(i % ORDERS + 1, "lamp") for i in range(90)])


@app.get("/orders")
def list_orders() -> list[int]:
    connection = sqlite3.connect(FILE)
    found = connection.execute("SELECT id FROM orders").fetchall()
    counts = []
    for (order,) in found:
        counts += [len(connection.execute("SELECT name FROM items WHERE order_id = ?", (order,)).fetchall())]
    connection.close()
    return counts


@app.get("/report")
def report() -> int:
    time.sleep(1.2)  # a slow request, planted
    return 1


@app.get("/pay/{card}")
def pay(card: str) -> None:
    raise ValueError(f"card {card} declined")
