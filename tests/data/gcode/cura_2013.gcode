;Sliced /home/user/part.stl at: Sat 16 Mar 2013 18:18:22
;Basic settings: Layer height: 0.25 Walls: 0.8 Fill: 50
;Print time:     0:29
;Filament used:     0.74m     6.62g
;Filament cost:     0.28
G21 ; Set to metric
G28 ; Go home
G1 Z15.0 F9000
M190 S60
M109 S200 ; wait for extruder temp
G1 F200 E3
;Layer count: 70
;LAYER:0
G0 F3600 X90 Y90 Z0.25
;TYPE:SKIRT
G1 F1800 X110 Y90 E0.30
G1 X110 Y110 E0.60
;TIME_ELAPSED:9.5
;LAYER:1
G0 F3600 X90 Y90 Z0.5
;TYPE:SKIRT
G1 F1800 X110 Y90 E0.31
G1 X110 Y110 E0.61
;TIME_ELAPSED:19.0
;LAYER:2
G0 F3600 X90 Y90 Z7.2
;TYPE:SKIRT
G1 F1800 X110 Y90 E0.32
G1 X110 Y110 E0.62
;TIME_ELAPSED:28.5
G1 Z200.0
M84                ;motors off
;CURA_PROFILE_STRING:eNrtV0tv20YQ
