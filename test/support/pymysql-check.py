"""What a Python application does through PyMySQL; prints one JSON object of what it saw."""

import json
import sys

import pymysql
import pymysql.cursors

port, with_tls = int(sys.argv[1]), sys.argv[2] == "tls"
options = {
    "host": "127.0.0.1",
    "port": port,
    "user": "app",
    "password": "app",
    "database": "app",
    "charset": "utf8mb4",
    "local_infile": True,
}
if with_tls:
    options["ssl"] = {"check_hostname": False, "verify_mode": False}

seen = {}
connection = pymysql.connect(**options)
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE IF NOT EXISTS py (id INT PRIMARY KEY, word VARCHAR(100)) CHARACTER SET utf8mb4")
    cursor.execute("DELETE FROM py")
    connection.commit()
    cursor.executemany("INSERT INTO py VALUES (%s, %s)", [(n, "wört %d 🐍" % n) for n in range(500)])
connection.rollback()
with connection.cursor() as cursor:
    cursor.execute("SELECT COUNT(*) FROM py WHERE id < 500")
    seen["rolledBack"] = cursor.fetchone()[0]
    cursor.executemany("INSERT INTO py VALUES (%s, %s)", [(n, "wört %d 🐍" % n) for n in range(500)])
connection.commit()
with connection.cursor() as cursor:
    cursor.execute("SELECT COUNT(*), MAX(word) FROM py")
    seen["committed"] = cursor.fetchone()
connection.commit()
connection.autocommit(True)
with connection.cursor(pymysql.cursors.SSDictCursor) as cursor:
    cursor.execute("SELECT id, word FROM py ORDER BY id")
    seen["streamed"] = sum(row["id"] for row in cursor)
with open(sys.argv[3], "w") as file:
    file.writelines("%d\tline %d\n" % (n, n) for n in range(1000, 3000))
with connection.cursor() as cursor:
    seen["loaded"] = cursor.execute("LOAD DATA LOCAL INFILE '%s' INTO TABLE py" % sys.argv[3])
    cursor.execute("SELECT CAST('1x' AS SIGNED)")
    cursor.execute("SHOW WARNINGS")
    seen["warnings"] = [row[1] for row in cursor.fetchall()]
    try:
        cursor.execute("SELECT * FROM missing")
    except pymysql.err.ProgrammingError as error:
        seen["errno"] = error.args[0]
connection.select_db("mysql")
with connection.cursor() as cursor:
    cursor.execute("SELECT DATABASE()")
    seen["database"] = cursor.fetchone()[0]
connection.ping()
connection.close()
try:
    pymysql.connect(**{**options, "password": "wrong"})
except pymysql.err.OperationalError as error:
    seen["denied"] = error.args[0]
print(json.dumps(seen))
